from lucas_storage.embedded.serve import *
