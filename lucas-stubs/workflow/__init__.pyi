from lucas_storage.embedded.workflow import *
