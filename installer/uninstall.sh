#!/bin/sh
# Takes ServHA off this machine: /usr/share/servha/uninstall.sh, or install.sh --uninstall.
#
#   uninstall.sh [-y] [--keep-config] [--leave-running]
#
# Removes what install.sh put there and what the daemons wrote: programs, units, configuration, state, logs, user.
# --keep-config keeps /etc/servha and /var/lib/servha for a later installation. Refuses while a resource tree may be
# running here; with --leave-running it goes on unwatched, and what a quorum disk protects is stopped as the guard ends.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/words.sh"

usage="uninstall.sh [-y] [--keep-config] [--leave-running]"
yes= keep= leave=
for word in "$@"; do
    case $word in
        -y | --yes) yes=yes ;;
        --keep-config) keep=yes ;;
        --leave-running) leave=yes ;;
        -h | --help) echo "$usage"; exit 0 ;;
        *) echo "$usage" >&2; exit 2 ;;
    esac
done

[ "$(id -u)" = 0 ] || { say "需要 root 用户。" "root is needed." >&2; exit 1; }
[ -e "$PREFIX/VERSION" ] || { say "ServHA 未安装, 无需更改。" "ServHA is not installed; nothing was changed."; exit 0; }
[ -e "$PREFIX/bundle" ] || {
    say "ServHA 由 Debian 软件包安装: apt-get purge servha" "ServHA was installed by its Debian package: apt-get purge servha" >&2
    exit 1
}
if [ -z "$leave" ] && ! running=$(running_here); then
    say "未做任何更改: 资源树可能正在本机运行: $running。请先用 servha tree move 或 servha tree stop, 或使用 --leave-running。" \
        "Nothing was changed: resource trees may be running here: $running. Move or stop them first (servha tree move, servha tree stop), or use --leave-running." >&2
    exit 1
fi
if [ -z "$yes" ]; then
    [ -n "$keep" ] || say "配置、状态和日志也将删除 (保留请用 --keep-config)。" \
        "Configuration, state and logs are removed as well (--keep-config keeps them)."
    ask "确定卸载 ServHA (y/n)?" "Uninstall ServHA (y/n)?"
    case $answer in
        y | Y | yes) ;;
        *) say "已取消, 未做任何更改。" "Cancelled; nothing was changed."; exit 1 ;;
    esac
fi

# The shell reads this file as it goes: what is needed of the folder is read before the folder is removed.
files=$(cat "$PREFIX/installed")
made=$(cat "$PREFIX/made" 2>/dev/null || true)
user=$(cat "$PREFIX/user" 2>/dev/null || true)
selinux_before=$(cat "$PREFIX/selinux-before" 2>/dev/null || true)

remove_all() {
    cd /
    systemctl stop servwebd.service servhad.service servha.target
    end_guard || {
        say "servha-guardd 未能结束, 卸载已停止: journalctl -u servha-guardd" \
            "servha-guardd does not end, so nothing was removed: journalctl -u servha-guardd" >&2
        exit 1
    }
    systemctl --quiet disable $UNITS
    for file in $files; do rm -f "$file"; done
    systemctl daemon-reload
    systemctl reset-failed $UNITS 2>/dev/null || true
    rm -f /usr/bin/servha
    if [ -n "$user" ]; then
        userdel "$user" 2>/dev/null || true
        ! getent group "$user" >/dev/null || groupdel "$user"
    fi
    if [ -n "$selinux_before" ] && [ -e /etc/selinux/config ]; then
        sed -i "s/^SELINUX=.*/SELINUX=$selinux_before/" /etc/selinux/config
        say "SELINUX 已改回 $selinux_before, 下次启动时生效。" "SELinux is $selinux_before again from the next boot on."
    fi
    rm -rf "$PREFIX" "$WEB_STATE" /run/servha
    if [ -z "$keep" ]; then
        rm -rf "$CONFIGURATION" "$STATE" "$LOGS" /etc/default/servwebd
        say "ServHA 已卸载。" "ServHA is uninstalled."
    else
        say "ServHA 已卸载, 配置保留在 $CONFIGURATION 和 $STATE。" \
            "ServHA is uninstalled; the configuration stays in $CONFIGURATION and $STATE."
    fi
    for folder in $(printf '%s\n' $made | sort -r); do rmdir "$folder" 2>/dev/null || true; done
    exit 0
}
remove_all
