from lucas_storage.embedded.actorc import *
