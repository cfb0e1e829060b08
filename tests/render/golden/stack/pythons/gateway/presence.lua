-- Who serves which function.
--
-- A processor that takes requests says so each second (GET /here/FUNCTION/CONTAINER), and gets its function's requests
-- from the first time on: nobody has to be asked how they are, and a container that is back at another address is known
-- at once. It must be at an address that Docker's DNS has for the function's service, so that no function passes itself
-- off as another. Before it stops it says goodbye (GET /bye/FUNCTION/CONTAINER), and is answered when no further request
-- will come. Tidegate's own programs say so for it (dismiss), since a handler that keeps Python's lock lets it say
-- nothing; they come by another network.
--
-- Each backend has numbered seats, servers of HAProxy's: one is taken by one container, or out of use. When the
-- configuration is read anew, a new process takes over: it learns from a file who sits where, the old one hangs up on
-- the processors, which come to the new one, and passes on to it what it is still asked (haproxy.cfg).

local PREFIX = "function-"
-- Docker's DNS, and the seconds that it may take.
local DNS, DNS_PORT, DNS_PATIENCE = "127.0.0.11", 53, 2
-- Milliseconds between two looks of a request that waits for a container, and of the keeper of the seats.
local LOOK, KEEP = 20, 250
-- Seconds without a sign of life after which a container is taken to be gone; a handler that keeps Python's lock gives
-- none.
local SILENCE = 10
-- Seconds without a seat for whom another said goodbye: it is being stopped, and may not know of it yet.
local ABSENCE = 30
-- Who sits where, for the process that comes after this one.
local MEMORY = "/run/tidegate/seats"

-- What Docker's DNS calls the containers of each function.
local HOSTS = {
  ["page"] = "function-page",
  ["required"] = "function-required",
}

local seats = {}        -- function → number → {container, address, seen}
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
      lines[#lines + 1] = table.concat({ name, number, seat.container, seat.address }, " ") .. "\n"
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
  while servers["seat" .. number] do
    if not (seats[name] and seats[name][number]) then return number end
    number = number + 1
  end
end

local function take_seat(name, number, seat)
  local server = find_backend(name).servers["seat" .. number]
  seats[name] = seats[name] or {}
  seats[name][number] = seat
  seat.seen = core.now().sec
  server:set_addr(seat.address, 8080)
  server:set_ready()
  -- It may be down since its process died.
  server:check_force_up()
end

local function leave_seat(name, number)
  seats[name][number] = nil
  find_backend(name).servers["seat" .. number]:set_maint()
end

-- Return DNS's question for the addresses of a name, after its length, as TCP wants it.
local function write_question(name)
  local labels = {}
  for label in name:gmatch("[^.]+") do labels[#labels + 1] = string.pack("s1", label) end
  local head = string.pack(">I2I2I2I2I2I2", 1, 0x0100, 1, 0, 0, 0)
  return string.pack(">s2", head .. table.concat(labels) .. string.pack(">BI2I2", 0, 1, 1))
end

-- Return the place behind a name in a message: its labels, or their beginning and a reference to the rest.
local function pass_name(message, place)
  local length = message:byte(place)
  while length and length > 0 and length < 192 do
    place = place + 1 + length
    length = message:byte(place)
  end
  return place + (length == 0 and 1 or 2)
end

-- Return whether an address is among those of DNS's answer, which repeats the question before it.
local function has_address(message, address)
  local count, place = string.unpack(">I2", message, 7), pass_name(message, 13) + 4
  for _ = 1, count do
    place = pass_name(message, place)
    local kind, _, _, data, next_place = string.unpack(">I2I2I4s2", message, place)
    if kind == 1 and table.concat({ data:byte(1, -1) }, ".") == address then return true end
    place = next_place
  end
  return false
end

-- Return whether Docker has a function's service at an address.
local function is_at(name, address)
  if not HOSTS[name] then return false end
  local connection = core.tcp()
  connection:settimeout(DNS_PATIENCE)
  if not connection:connect(DNS, DNS_PORT) then return false end
  connection:send(write_question(HOSTS[name]))
  local head = connection:receive(2)
  local message = head and connection:receive((string.unpack(">I2", head)))
  connection:close()
  return message ~= nil and #message > 12 and has_address(message, address)
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
  if dismissed[container] then return answer(applet, 503, "{}\n") end
  if seat and seat.address == address then
    seat.seen = core.now().sec
    return answer(applet, 200, "{}\n")
  end
  if not is_at(name, address) then return answer(applet, 503, "{}\n") end
  -- Others may have come while DNS was asked.
  number = find_seat(name, container) or find_free_seat(name)
  if not number then return answer(applet, 503, "{}\n") end
  take_seat(name, number, { container = container, address = address })
  remember()
  answer(applet, 200, "{}\n")
end)

-- Return the seat that a path says goodbye for, as function and number, and who sits there.
local function find_leaving(path)
  local name, container = path:match("^/bye/([^/]+)/([^/]+)$")
  if not name then return end
  local number, seat = find_seat(name, container)
  return name, number, seat
end

core.register_service("bye", "http", function(applet)
  local name, number, seat = find_leaving(applet.path)
  if number and seat.address == applet.f:src() then
    leave_seat(name, number)
    remember()
  end
  answer(applet, 200, "{}\n")
end)

core.register_service("dismiss", "http", function(applet)
  local name, number, seat = find_leaving(applet.path)
  if number then
    leave_seat(name, number)
    dismissed[seat.container] = core.now().sec
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
  for name, number, container, address in read_memory():gmatch("(%S+) (%d+) (%S+) (%S+)\n") do
    local backend, seat = find_backend(name), tonumber(number)
    if backend and backend.servers["seat" .. seat] then
      take_seat(name, seat, { container = container, address = address })
    end
  end
end

local function unseat_silent()
  for name, taken in pairs(seats) do
    for number, seat in pairs(taken) do
      if core.now().sec - seat.seen > SILENCE then leave_seat(name, number) end
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
