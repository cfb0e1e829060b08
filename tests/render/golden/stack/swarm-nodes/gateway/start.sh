#!/bin/bash
# Written by Tidegate: starts the gateway of a machine, and has it read its configuration again where there is another,
# for which no request waits. A config of Swarm is never another; a service update would take the ports away meanwhile.
folder=/run/gateway
current=$folder/haproxy.cfg
new=$folder/new.cfg

# All of the configuration, or nothing.
fetch() {
    exec 3<>/dev/tcp/gateway-configuration/8406 || return
    printf 'GET / HTTP/1.0\r\n\r\n' >&3
    local line length=0
    while IFS= read -r line <&3 && line=${line%$'\r'} && [[ $line ]]; do
        [[ ${line,,} == content-length:* ]] && length=${line#*: }
    done
    cat <&3 >"$new"
    [[ -s $new && $(stat -c %s "$new") == "$length" ]]
}

if [[ $1 == --fetch ]]; then
    fetch 2>/dev/null
    exit
fi

until timeout 3 bash "$0" --fetch; do
    sleep 0.5
done
mv "$new" "$current"
before=
changed=0
while sleep 0.5; do
    timeout 3 bash "$0" --fetch || continue
    text=$(<"$new")
    [[ $text == "$(<"$current")" ]] && continue
    # While it is replaced, older and newer answer side by side.
    [[ $text == "$before" ]] && ((SECONDS < changed + 10)) && continue
    before=$(<"$current")
    changed=$SECONDS
    # What is wrong stands in the log, once; the gateway goes on.
    haproxy -c -q -f "$new"
    valid=$?
    mv "$new" "$current"
    [[ $valid == 0 ]] && kill -USR2 1
done &
exec haproxy -W -db -f "$current"
