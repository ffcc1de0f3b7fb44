from actorc.controller import (
    ActorContext as ActorContext,
    ActorExecutor as ActorExecutor,
    ActorFunction as ActorFunction,
    ActorRuntime as ActorRuntime,
)
