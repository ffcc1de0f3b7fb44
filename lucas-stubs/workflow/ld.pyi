from lucas_storage.embedded.workflow.ld import *
