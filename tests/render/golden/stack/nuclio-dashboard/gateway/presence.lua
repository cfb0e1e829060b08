-- Who serves which function.
--
-- A processor that takes requests says so each second (GET /here/FUNCTION/CONTAINER), and gets its function's requests
-- from the first time on: nobody has to be asked how they are, and a container that is back at another address is known
-- at once. Before it stops it says goodbye (GET /bye/FUNCTION/CONTAINER), and is answered when no further request will
-- come.
--
-- A server of a backend is a seat: it is taken by one container, or out of use. When the configuration is read anew, a
-- new process takes over: it learns from a file who sits where, the old one hangs up on the processors, which come to the
-- new one, and passes on to it what it is still asked (haproxy.cfg).

local PREFIX = "function-"
-- Milliseconds between two looks of a request that waits for a container, and of the keeper of the seats.
local LOOK, KEEP = 20, 250
-- Seconds without a sign of life after which a container is taken to be gone; a handler that keeps Python's lock gives
-- none.
local SILENCE = 10
-- Who sits where, for the process that comes after this one.
local MEMORY = "/tmp/seats"

local seats = {}        -- function → server → {container, address, seen}
local is_stopping = false

local function find_backend(name)
  return core.backends[PREFIX .. name]
end

local function look_if_stopping()
  is_stopping = is_stopping or tostring(core.get_info()["Stopping"]) == "1"
  return is_stopping
end

local function read_memory()
  local file = io.open(MEMORY)
  local text = file and file:read("a") or ""
  if file then file:close() end
  return text
end

-- Write down who sits where; the last process alone does, whatever another wrote while it was being replaced.
local function remember()
  if look_if_stopping() then return end
  local lines = {}
  for name, taken in pairs(seats) do
    for server, seat in pairs(taken) do
      lines[#lines + 1] = table.concat({ name, server, seat.container, seat.address }, " ") .. "\n"
    end
  end
  table.sort(lines)
  local text = table.concat(lines)
  if text == read_memory() then return end
  local file = io.open(MEMORY, "w")
  if not file then return end
  file:write(text)
  file:close()
end

local function find_seat(name, container)
  for server, seat in pairs(seats[name] or {}) do
    if seat.container == container then return server, seat end
  end
end

local function find_free_seat(name)
  for server in pairs(find_backend(name).servers) do
    if not (seats[name] and seats[name][server]) then return server end
  end
end

local function take_seat(name, server, container, address)
  local place = find_backend(name).servers[server]
  seats[name] = seats[name] or {}
  seats[name][server] = { container = container, address = address, seen = core.now().sec }
  place:set_addr(address, 8080)
  place:set_ready()
end

local function leave_seat(name, server)
  seats[name][server] = nil
  find_backend(name).servers[server]:set_maint()
end

local function answer(applet, status, body)
  applet:set_status(status)
  applet:add_header("content-type", "application/json")
  applet:add_header("content-length", #body)
  applet:start_response()
  applet:send(body)
end

core.register_service("here", "http", function(applet)
  local name, container = applet.path:match("^/here/([^/]+)/([^/]+)$")
  if not name or not find_backend(name) then return answer(applet, 404, "{}\n") end
  local address = applet.f:src()
  local server, seat = find_seat(name, container)
  if seat and seat.address == address then
    seat.seen = core.now().sec
    return answer(applet, 200, "{}\n")
  end
  server = server or find_free_seat(name)
  if not server then return answer(applet, 503, "{}\n") end
  take_seat(name, server, container, address)
  remember()
  answer(applet, 200, "{}\n")
end)

core.register_service("bye", "http", function(applet)
  local name, container = applet.path:match("^/bye/([^/]+)/([^/]+)$")
  local server = name and find_seat(name, container)
  if server then
    leave_seat(name, server)
    remember()
  end
  answer(applet, 200, "{}\n")
end)

-- Let a request wait, for so many milliseconds at most, until a container takes requests.
core.register_action("hold", { "http-req" }, function(transaction, milliseconds)
  local backend = core.backends[transaction.f:be_name()]
  for _ = 1, milliseconds / LOOK do
    if backend:get_srv_act() > 0 or is_stopping then return end
    core.msleep(LOOK)
  end
end, 1)

-- Tell how many requests each function has in hand or waiting, how many it had, and how many containers take them.
core.register_service("figures", "http", function(applet)
  local rows = {}
  for name, backend in pairs(core.backends) do
    if name:sub(1, #PREFIX) == PREFIX then
      local figures = backend:get_stats()
      rows[#rows + 1] = string.format('"%s": {"requests": %d, "total": %d, "ready": %d}',
        name:sub(#PREFIX + 1), figures.scur, figures.stot, backend:get_srv_act())
    end
  end
  answer(applet, 200, "{" .. table.concat(rows, ", ") .. "}\n")
end)

-- Seat those who sat before this process came.
local function recall()
  for name, server, container, address in read_memory():gmatch("(%S+) (%S+) (%S+) (%S+)\n") do
    local backend = find_backend(name)
    if backend and backend.servers[server] then take_seat(name, server, container, address) end
  end
end

local function unseat_silent()
  for name, taken in pairs(seats) do
    for server, seat in pairs(taken) do
      if core.now().sec - seat.seen > SILENCE then leave_seat(name, server) end
    end
  end
end

core.register_task(function()
  recall()
  while not look_if_stopping() do
    unseat_silent()
    remember()
    core.msleep(KEEP)
  end
end)
