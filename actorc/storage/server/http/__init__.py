"""The HTTP data plane: presigned URLs over the same store and the same rules as gRPC, and pages about the server.

It needs the packages of the extra ``http``; importing this module does not.
"""
