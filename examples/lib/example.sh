# What the examples have in common; their `run` sources it.
# shellcheck shell=bash disable=SC2034

# prepare NAME: names the programs in $bin and goes to target/NAME ($work), emptied of what an earlier run left.
prepare() {
    if [ -n "${NSTORE_BIN:-}" ]; then
        bin=$(cd "$NSTORE_BIN" && pwd)
    else
        local newest
        newest=$(ls -t "$root"/target/{release,debug}/nstore 2>/dev/null | head -n 1 || true)
        bin=$(dirname "${newest:-$root/target/debug/nstore}")
    fi
    local program
    for program in nstore nstore-worker; do
        [ -x "$bin/$program" ] || { echo "$bin/$program is not there; build it with: make build" >&2; exit 2; }
    done
    work=$root/target/$1
    mkdir -p "$work"
    cd "$work"
    "$bin/nstore" local stop >/dev/null 2>&1 || true
    rm -rf .nstore storage ./*.log
}

# environment REQUIREMENTS: a virtual environment of just these packages, made anew only when they change.
environment() {
    cmp -s "$1" venv/requirements.txt && return
    echo "installing what $1 lists into $work/venv"
    rm -rf venv
    python3 -m venv venv
    venv/bin/pip --quiet --disable-pip-version-check install -r "$1"
    cp "$1" venv/requirements.txt
}

# shop: makes shop.sqlite of the CSV files in $olist, which are OLIST_DIR's, or small ones made up here ($small is set).
shop() {
    olist=${OLIST_DIR:-$root/../shared/data/olist} small=
    if [ -f "$olist/olist_orders_dataset.csv" ]; then
        olist=$(realpath "$olist")
    else
        echo "no Olist files in $olist: a small shop is made up"
        olist=$work/small small=yes
        python3 "$examples/lib/database.py" --small "$olist"
    fi
    python3 "$examples/lib/database.py" "$olist" shop.sqlite
}

# serve NAME PATTERN COMMAND…: runs a server until this script ends, and puts into $url what PATTERN, a sed
# expression with one group, finds in its output.
serve() {
    local name=$1 pattern=$2 _
    shift 2
    # there before the first look at it
    : >"$name.log"
    "$@" >"$name.log" 2>&1 &
    server=$!
    trap 'kill "$server" 2>/dev/null || true' EXIT
    url=
    for _ in $(seq 150); do
        url=$(sed -n "s|.*$pattern.*|\1|p" "$name.log" | head -n 1)
        [ -z "$url" ] || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.2
    done
    echo "$name does not start:" >&2
    cat "$name.log" >&2
    exit 1
}

# load START END SOURCES: extracts into a private PostgreSQL; $code says how that ended.
load() {
    unset NSTORE_REDIS_URL NSTORE_POSTGRES_URL NSTORE_STORAGE_URL NSTORE_CREDENTIALS
    code=0
    "$bin/nstore" --local extract --start-date "$1" --end-date "$2" --sources "$3" --upload || code=$?
    case $code in 0 | 1 | 3) ;; *) exit "$code" ;; esac
}

# compare …: with lib/compare.py, then ends the script.
compare() {
    local same=0
    echo
    python3 "$examples/lib/compare.py" "$@" -- "$bin/nstore" local psql -- || same=$?
    echo
    echo "to look further: cd $work && $bin/nstore local psql"
    [ "$code" -eq 0 ] || { echo "nstore extract ended with exit code $code" >&2; exit "$code"; }
    exit "$same"
}

# usage: what stands at the top of the script.
usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}
