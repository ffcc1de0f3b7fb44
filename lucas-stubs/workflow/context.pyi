from lucas_storage.embedded.workflow.context import *
