from lucas_storage.embedded.serverless_function import *
