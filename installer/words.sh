# What install.sh and uninstall.sh share: two languages, questions, and the places on the machine.
# Read by both with `.`; it changes nothing by itself.

PREFIX=/usr/share/servha
CONFIGURATION=/etc/servha
STATE=/var/lib/servha
WEB_STATE=/var/lib/servha-web
LOGS=/var/log/servha
UNITS="servhad.service servha-guardd.service servwebd.service servha.target"

case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
    zh*) CHINESE=yes ;;
    *) CHINESE= ;;
esac

# say CHINESE ENGLISH
say() {
    if [ -n "$CHINESE" ]; then printf '%s\n' "$1"; else printf '%s\n' "$2"; fi
}

# ask CHINESE ENGLISH: one line of answer in $answer; no answer at all is an error of the caller
ask() {
    if [ -n "$CHINESE" ]; then printf '%s ' "$1"; else printf '%s ' "$2"; fi
    answer=
    read -r answer || {
        echo
        say "没有输入; 无人值守时请使用 -y。" "No answer came; where nobody sits, use -y." >&2
        return 1
    }
}

# any_key: waits for one key, or one character where the input is no terminal
any_key() {
    before=$(stty -g 2>/dev/null) || before=
    [ -z "$before" ] || stty -icanon -echo min 1
    pressed=$(dd bs=1 count=1 2>/dev/null | wc -c)
    [ -z "$before" ] || stty "$before"
    echo
    [ "$pressed" -gt 0 ] || {
        say "没有输入; 无人值守时请使用 -y。" "No key was pressed; where nobody sits, use -y." >&2
        return 1
    }
}

is_active() { systemctl is-active --quiet "$1"; }

# running_here: names the resource trees that may be running on this node; silent when there are none
running_here() {
    [ -x "$PREFIX/bin/python3" ] || return 0
    "$PREFIX/bin/python3" -m servha.cli.running_here
}

# end_guard: the guard refuses `systemctl stop`; INT ends it for good
end_guard() {
    is_active servha-guardd.service || return 0
    systemctl kill --kill-who=main --signal=INT servha-guardd.service || return 1
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        is_active servha-guardd.service || return 0
        sleep 0.5
    done
    return 1
}
