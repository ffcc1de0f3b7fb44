from lucas_storage.embedded.workflow.workflow import *
