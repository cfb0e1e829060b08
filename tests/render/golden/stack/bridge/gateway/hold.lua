-- Lets a request wait while its function has no container that takes it: one at zero starts, another starts again.

-- Milliseconds between two looks of a request that waits, and of the task that finds out whether this process ends.
local LOOK, WATCH = 20, 250

-- Whether another process has read the configuration again, to which requests are passed on (haproxy.cfg).
local is_stopping = false

-- Wait for so many milliseconds at most; say by txn.is_late that it was in vain.
core.register_action("hold", { "http-req" }, function(transaction, milliseconds)
  local backend = core.backends[transaction.f:be_name()]
  for _ = 1, milliseconds / LOOK do
    if backend:get_srv_act() > 0 or is_stopping then return end
    core.msleep(LOOK)
  end
  transaction:set_var("txn.is_late", true)
end, 1)

core.register_task(function()
  while not is_stopping do
    is_stopping = tostring(core.get_info()["Stopping"]) == "1"
    core.msleep(WATCH)
  end
end)
