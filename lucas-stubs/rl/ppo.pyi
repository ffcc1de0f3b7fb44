from lucas_storage.embedded.rl.ppo import *
