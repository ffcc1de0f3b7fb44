from lucas_storage.embedded.runtime.runtime import *
