from lucas_storage.embedded.workflow.route import *
