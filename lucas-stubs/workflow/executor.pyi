from lucas_storage.embedded.workflow.executor import *
