from lucas_storage.embedded.train import *
