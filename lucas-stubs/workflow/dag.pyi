from lucas_storage.embedded.workflow.dag import *
