from lucas_storage.embedded.train.trainer import *
