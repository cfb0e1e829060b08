-- Who serves which function.
--
-- A processor that takes requests says so each second (GET /here/FUNCTION/CONTAINER), and gets its function's requests
-- from the first time on: nobody has to be asked how they are, and a container that is back at another address is known
-- at once. Before it stops it says goodbye (GET /bye/FUNCTION/CONTAINER), and is answered when no further request will
-- come. Whoever stops it may say so for it, since a handler that keeps Python's lock lets it say nothing.
--
-- Each backend has numbered seats: one is taken by one container, or out of use. There are two ways to who sits there,
-- each a server of HAProxy's. A processor on this machine offers a Unix socket, CONTAINER.offer, which becomes
-- FUNCTION.SEAT; any other is reached over the network. When the configuration is read anew, a new process takes over: it
-- learns from a file who sits where, the old one hangs up on the processors, which come to the new one, and passes on to
-- it what it is still asked (haproxy.cfg).

local PREFIX = "function-"
-- Milliseconds between two looks of a request that waits for a container, and of the keeper of the seats.
local LOOK, KEEP = 20, 250
-- Seconds without a sign of life after which a container is taken to be gone; a handler that keeps Python's lock gives
-- none.
local SILENCE = 10
-- Seconds without a seat for whom another said goodbye: it is being stopped, and may not know of it yet.
local ABSENCE = 30
-- Where the sockets are, and who sits where, for the process that comes after this one.
local SOCKETS = "/run/tidegate/"
local MEMORY = SOCKETS .. "seats"
local UNIX, TCP, OFFER = "unix", "tcp", ".offer"

local seats = {}        -- function → number → {container, address, way, seen}
local dismissed = {}    -- container → when another said goodbye for it
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
    for number, seat in pairs(taken) do
      lines[#lines + 1] = table.concat({ name, number, seat.way, seat.container, seat.address }, " ") .. "\n"
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
  for number, seat in pairs(seats[name] or {}) do
    if seat.container == container then return number, seat end
  end
end

local function find_free_seat(name)
  local servers, number = find_backend(name).servers, 1
  while servers[TCP .. number] do
    if not (seats[name] and seats[name][number]) then return number end
    number = number + 1
  end
end

local function find_socket(name, number)
  return SOCKETS .. name .. "." .. number
end

-- Return by which way a container is reached at a seat: its socket, if it has offered one.
local function take_offer(name, number, container)
  local offer = SOCKETS .. container .. OFFER
  if not os.rename(offer, find_socket(name, number)) then return nil end
  -- Where both names are of the same socket already, rename leaves both.
  os.remove(offer)
  return UNIX
end

local function take_seat(name, number, seat)
  local servers = find_backend(name).servers
  local other = seat.way == UNIX and TCP or UNIX
  seats[name] = seats[name] or {}
  seats[name][number] = seat
  seat.seen = core.now().sec
  if seat.way == TCP then servers[TCP .. number]:set_addr(seat.address, 8080) end
  servers[seat.way .. number]:set_ready()
  -- It may be down since its socket refused, as that of a process that has died.
  if seat.way == UNIX then servers[UNIX .. number]:check_force_up() end
  servers[other .. number]:set_maint()
end

local function leave_seat(name, number)
  local servers = find_backend(name).servers
  seats[name][number] = nil
  servers[TCP .. number]:set_maint()
  servers[UNIX .. number]:set_maint()
  os.remove(find_socket(name, number))
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
  local number, seat = find_seat(name, container)
  number = number or find_free_seat(name)
  if not number or dismissed[container] then return answer(applet, 503, "{}\n") end
  local way = take_offer(name, number, container)
  if seat and seat.address == address and not way then
    seat.seen = core.now().sec
  else
    take_seat(name, number, { container = container, address = address, way = way or TCP })
    remember()
  end
  answer(applet, 200, "{}\n")
end)

core.register_service("bye", "http", function(applet)
  local name, container = applet.path:match("^/bye/([^/]+)/([^/]+)$")
  local number, seat
  if name then number, seat = find_seat(name, container) end
  if number then
    leave_seat(name, number)
    if seat.address ~= applet.f:src() then dismissed[container] = core.now().sec end
    os.remove(SOCKETS .. container .. OFFER)
    os.remove(SOCKETS .. container)
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
  transaction:set_var("txn.is_late", true)
end, 1)

-- Tell how many requests each function has in hand or waiting, how many it had, and how many containers take them.
core.register_service("figures", "http", function(applet)
  local rows = {}
  for name, backend in pairs(core.backends) do
    if name:sub(1, #PREFIX) == PREFIX then
      local figures = backend:get_stats()
      -- What waits is here twice: on its way to where it waits, and as what waits.
      local again = backend.servers.again and backend.servers.again:get_stats() or { scur = 0, stot = 0 }
      rows[#rows + 1] = string.format('"%s": {"requests": %d, "total": %d, "ready": %d}',
        name:sub(#PREFIX + 1), figures.scur - again.scur, figures.stot - again.stot, backend:get_srv_act())
    end
  end
  answer(applet, 200, "{" .. table.concat(rows, ", ") .. "}\n")
end)

-- Seat those who sat before this process came.
local function recall()
  for name, number, way, container, address in read_memory():gmatch("(%S+) (%d+) (%S+) (%S+) (%S+)\n") do
    local backend, seat = find_backend(name), tonumber(number)
    if backend and backend.servers[way .. seat] then
      take_seat(name, seat, { container = container, address = address, way = way })
    end
  end
end

local function unseat_silent()
  for name, taken in pairs(seats) do
    for number, seat in pairs(taken) do
      if core.now().sec - seat.seen > SILENCE then
        -- Whoever comes back comes by its socket again.
        os.rename(find_socket(name, number), SOCKETS .. seat.container .. OFFER)
        leave_seat(name, number)
      end
    end
  end
end

local function forget_dismissed()
  for container, moment in pairs(dismissed) do
    if core.now().sec - moment > ABSENCE then dismissed[container] = nil end
  end
end

core.register_task(function()
  recall()
  while not look_if_stopping() do
    unseat_silent()
    forget_dismissed()
    remember()
    core.msleep(KEEP)
  end
end)
