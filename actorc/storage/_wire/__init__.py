"""The wire format that client and server share: messages, checksums, signatures."""
