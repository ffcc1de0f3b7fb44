from lucas_storage.embedded.rl import *
