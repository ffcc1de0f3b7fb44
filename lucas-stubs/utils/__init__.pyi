from lucas_storage.embedded.utils import *
