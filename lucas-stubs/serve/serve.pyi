from lucas_storage.embedded.serve.serve import *
