# shellcheck shell=bash
# Containers without an engine, for tests as root: a bridge network, and for each container its own network, its own
# process ids, a read-only root and volumes. A test file sources it after harness.sh and calls `inside_namespaces` first.
#
# It stands in for Docker: names come from /etc/hosts instead of Docker's DNS, and ports are not published. A request through
# a published port comes from the network's first address; so do requests of the test itself.

net=172.30.193
# The id of the process that holds a container's network, and the id of its first process.
declare -A holders=() mains=()

# Runs the test file again as root of new namespaces. Everything in them ends with it.
inside_namespaces() {
    if [ -n "${INSIDE_NAMESPACES:-}" ]; then
        ip link set lo up && ip link add bridge0 type bridge && ip addr add "$net.1/24" dev bridge0 && ip link set bridge0 up
        return
    fi
    INSIDE_NAMESPACES=yes exec unshare --net --mount --pid --fork --kill-child=KILL --mount-proc bash "$0" "$@"
}

# Ends the containers of one test, and waits until their interfaces are gone.
end_containers() {
    local name id
    end_started
    # The change of user has cleared the signal that would end the first process with its parent.
    for name in "${!mains[@]}"; do kill -KILL "$(first_process "$name")" 2>/dev/null; done
    for id in "${mains[@]}" "${holders[@]}"; do kill -KILL "$id" 2>/dev/null; done
    wait 2>/dev/null
    eventually no_interfaces
}
no_interfaces() { ! ip -brief link show type veth | grep -q .; }

has_own_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

# network NAME ADDRESS: a network for a container. It ends with the test, which is a subshell.
network() {
    trap end_containers EXIT
    unshare --net sleep infinity &
    holders[$1]=$!
    local holder=$! interface=veth${2##*.}
    expect "the network of $1" eventually has_own_network "$holder"
    ip link add "$interface" type veth peer name eth0 netns "$holder" && ip link set "$interface" master bridge0 up
    nsenter --net="/proc/$holder/ns/net" sh -c "ip link set lo up && ip addr add $2/24 dev eth0 && ip link set eth0 up && ip route add default via $net.1"
}

# container NAME ROOT VOLUMES ENVIRONMENT COMMAND…: starts a container as user 65532, with its output in NAME.out. VOLUMES are
# lines `FOLDER PATH`, ENVIRONMENT are lines `NAME=value`.
container() {
    local name=$1 image=$2 volumes=$3 environment=$4
    shift 4
    local variables=()
    mapfile -t variables <<<"$environment"
    mkdir -p "$image/proc"
    # shellcheck disable=SC2016
    nsenter --net="/proc/${holders[$name]}/ns/net" unshare --pid --fork --kill-child=KILL --mount bash -c '
        set -e
        root=$1 volumes=$2
        shift 2
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount -o remount,bind,ro "$root"
        while read -r folder path; do if [ -n "$folder" ]; then mount --bind "$folder" "$root$path"; fi; done <<<"$volumes"
        cd "$root"
        exec env -i "$@"
    ' bash "$image" "$volumes" "${variables[@]}" /usr/sbin/chroot --userspec=65532:65532 --groups=65532 "$image" "$@" >>"$name.out" 2>&1 &
    mains[$name]=$!
}

# The id of a container's first process, as this test sees it.
first_process() { pgrep --parent "${mains[$1]}" | head -n 1; }

# in_container NAME ROOT ENVIRONMENT COMMAND…: runs a command in a running container, as `docker exec` does.
in_container() {
    local name=$1 image=$2 environment=$3 id
    shift 3
    local variables=()
    mapfile -t variables <<<"$environment"
    id=$(first_process "$name")
    nsenter --target "$id" --net --mount --pid env -i "${variables[@]}" /usr/sbin/chroot --userspec=65532:65532 --groups=65532 \
        "$image" "$@"
}

# status URL [CURL OPTION…]: prints the HTTP status of a request from the host.
status() {
    local url=$1
    shift
    curl --silent --max-time 60 --output body --write-out '%{http_code}' "$@" "$url"
}

# status_from NAME URL [CURL OPTION…]: the same from the network of a container.
status_from() {
    local name=$1
    shift
    nsenter --net="/proc/${holders[$name]}/ns/net" curl --silent --max-time 60 --output body --write-out '%{http_code}' "${@:2}" "$1"
}

answers() { [ "$(status "$1")" = "$2" ]; }
