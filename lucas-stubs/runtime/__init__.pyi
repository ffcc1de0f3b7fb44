from lucas_storage.embedded.runtime import *
