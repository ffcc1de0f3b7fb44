from lucas_storage.embedded.runtime.local_once_runtime import *
