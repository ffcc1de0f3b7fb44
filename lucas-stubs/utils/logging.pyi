from lucas_storage.embedded.utils.logging import *
