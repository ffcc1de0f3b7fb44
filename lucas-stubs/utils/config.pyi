from lucas_storage.embedded.utils.config import *
