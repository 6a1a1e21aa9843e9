#!/bin/sh
# Installs ServHA from this folder, or upgrades what is installed; nothing is fetched.
#
#   ./install.sh [-y] [--selinux unchanged|permissive|disabled] [--python /usr/bin/python3.11] [--uninstall]
#
# Every condition is looked at before anything is changed, and all that is missing is said at once. From the first
# change on, each step notes how it is undone; when one fails, the notes are followed backwards and the machine is
# as it was. Decides nothing about the cluster: that is `servha cluster init`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/words.sh"
umask 022

usage="./install.sh [-y] [--selinux unchanged|permissive|disabled] [--python FILE] [--uninstall [OPTION ...]]"
yes= selinux= python= STAGE=/usr/share/.servha-new BEFORE=/usr/share/.servha-before notes= step= changed= done=
SELINUX_FILE=/etc/selinux/config

while [ $# -gt 0 ]; do
    case $1 in
        -y | --yes) yes=yes ;;
        --selinux) selinux=${2:-}; shift ;;
        --selinux=*) selinux=${1#*=} ;;
        --python) python=${2:-}; shift ;;
        --python=*) python=${1#*=} ;;
        --uninstall) shift; exec sh "$here/uninstall.sh" ${yes:+-y} "$@" ;;
        -h | --help) echo "$usage"; exit 0 ;;
        *) echo "$usage" >&2; exit 2 ;;
    esac
    shift || { echo "$usage" >&2; exit 2; }
done
case $selinux in
    '' | unchanged | permissive | disabled) ;;
    *) echo "$usage" >&2; exit 2 ;;
esac

version=$(cat "$here/VERSION")
sum() { sha256sum "$here/SHA256SUMS" | cut -d ' ' -f 1; }

# --- conditions ---

missing=
lacks() {
    missing="$missing
  - $(say "$1" "$2")"
}

# The first Python that the wheels fit: the one named, the machine's own, or one of the distribution's other packages.
find_python() {
    for candidate in ${python:-/usr/bin/python3 /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13}; do
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue
        echo "$candidate"
        return
    done
}

check_conditions() {
    [ "$(id -u)" = 0 ] || lacks "需要 root 用户: 请用 root 登录或使用 sudo" "root is needed: log in as root, or use sudo"
    [ "$(uname -m)" = "$(cat "$here/ARCH")" ] ||
        lacks "此安装包用于 $(cat "$here/ARCH"), 本机是 $(uname -m): 请使用对应架构的安装包" \
            "this bundle is for $(cat "$here/ARCH"), this machine is $(uname -m): take the bundle of that name"
    (cd "$here" && sha256sum --quiet -c SHA256SUMS) >/dev/null 2>&1 ||
        lacks "安装包已损坏 (SHA256SUMS 校验失败): 请重新拷贝并解压" \
            "the bundle is damaged (SHA256SUMS does not fit): copy and unpack it again"
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d ' ' -f 2)
    case ${libc:-none} in
        none | 2.[0-9] | 2.1[0-9] | 2.2[0-7])
            lacks "需要 glibc 2.28 或更新, 本机为 ${libc:-未知}" "glibc 2.28 or newer is needed, here is ${libc:-none}" ;;
    esac
    python=$(find_python)
    [ -n "$python" ] ||
        lacks "需要 Python 3.11 至 3.13 (系统自带的 python3 不会被改动): 请安装发行版的 python3.11 软件包 (Debian/Ubuntu: apt-get install python3.11; RHEL 8/9: dnf install python3.11), 或用 --python 指定" \
            "Python 3.11 to 3.13 is needed (the system's own python3 stays as it is): install the distribution's package python3.11 (Debian, Ubuntu: apt-get install python3.11; RHEL 8, 9: dnf install python3.11), or name one with --python"
    if [ -d /run/systemd/system ]; then
        systemd=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
        [ "${systemd:-0}" -ge 239 ] || lacks "需要 systemd 239 或更新" "systemd 239 or newer is needed, here is ${systemd:-none}"
    else
        lacks "本机不是由 systemd 启动的" "this machine was not booted by systemd"
    fi
    free_kib=$(df -Pk /usr/share | awk 'NR == 2 { print $4 }')
    [ "${free_kib:-0}" -ge 102400 ] ||
        lacks "/usr/share 至少需要 100 MiB 可用空间, 现有 $((${free_kib:-0} / 1024)) MiB" \
            "/usr/share needs 100 MiB of free space and has $((${free_kib:-0} / 1024)) MiB"
    if [ -e "$PREFIX/VERSION" ] && [ ! -e "$PREFIX/bundle" ]; then
        lacks "ServHA 由 Debian 软件包安装: 请用 apt-get 升级或删除" \
            "ServHA was installed by its Debian package: upgrade or remove it with apt-get"
    elif [ -e "$PREFIX/VERSION" ] && [ "$(cat "$PREFIX/VERSION")" != "$version" ] &&
        [ "$(printf '%s\n' "$version" "$(cat "$PREFIX/VERSION")" | sort -V | tail -n 1)" != "$version" ]; then
        lacks "已安装较新的版本 $(cat "$PREFIX/VERSION"): 如确需 $version, 请先运行 $PREFIX/uninstall.sh --keep-config" \
            "the newer version $(cat "$PREFIX/VERSION") is installed: for $version, run $PREFIX/uninstall.sh --keep-config first"
    fi
    if [ "$(selinux_mode)" = Enforcing ] && [ -n "$yes" ] && [ -z "$selinux" ]; then
        lacks "系统开启了SELINUX: 与 -y 一起还需要 --selinux disabled, permissive 或 unchanged" \
            "SELinux is enforcing: with -y, say --selinux disabled, permissive or unchanged"
    fi
    [ -z "$missing" ] || {
        say "您的系统不满足安装条件, 未做任何更改:" "This machine cannot take ServHA yet. Nothing was changed. Missing:" >&2
        printf '%s\n' "${missing#?}" >&2
        exit 1
    }
}

selinux_mode() { getenforce 2>/dev/null || echo Disabled; }

# --- undo ---

undo() { printf '%s\n' "$*" >>"$notes"; }

finish() {
    status=$?
    trap - EXIT
    trap '' HUP INT TERM
    if [ -z "$done" ] && [ -n "$notes" ] && [ -e "$notes" ]; then
        [ -z "$changed" ] || say "安装失败 (步骤: $step), 正在恢复..." "Installation failed (step: $step); putting everything back..." >&2
        tac "$notes" | while read -r line; do
            sh -c "$line" >/dev/null 2>&1 || say "未能恢复: $line" "could not be undone: $line" >&2
        done
        [ -z "$changed" ] || say "系统已恢复原状。" "The machine is as it was." >&2
    fi
    [ -z "$notes" ] || rm -rf "$(dirname "$notes")"
    exit "$status"
}

# begin CHINESE ENGLISH: the name of what comes, for the message when it fails
begin() { step=$(say "$1" "$2"); }

# --- steps ---

disable_selinux() {
    [ "$(selinux_mode)" = Enforcing ] || return 0
    if [ -z "$selinux" ]; then
        say "检测到您的系统开启了SELINUX, 需要禁用SELINUX后才能继续" "SELinux is enabled on this machine; it has to be disabled to go on"
        ask "是否需要禁用(y/n)?" "Disable it (y/n)?"
        case $answer in
            y | Y | yes) selinux=disabled ;;
            *)
                say "未禁用SELINUX, 安装已取消; 如需保留SELINUX, 请使用 --selinux unchanged 或 permissive。" \
                    "SELinux stays and nothing was installed; to install beside it, use --selinux unchanged or permissive." >&2
                exit 1
                ;;
        esac
    fi
    [ "$selinux" != unchanged ] || return 0
    begin "禁用SELINUX" "SELinux"
    changed=yes
    selinux_was=$(sed -n 's/^SELINUX=//p' "$SELINUX_FILE")
    undo "setenforce 1; sed -i 's/^SELINUX=.*/SELINUX=$selinux_was/' $SELINUX_FILE"
    setenforce 0
    sed -i "s/^SELINUX=.*/SELINUX=$selinux/" "$SELINUX_FILE"
    if [ "$selinux" = disabled ]; then
        say "已成功禁用SELINUX。" "SELinux is disabled (permissive until the next boot)."
    else
        say "已将SELINUX设为permissive。" "SELinux is permissive."
    fi
}

lay_out() {
    begin "解开程序" "unpacking the programs"
    rm -rf "$STAGE" "$BEFORE"
    undo "rm -rf $STAGE"
    changed=yes
    "$python" -I "$here/lay_out.py" "$here/wheels" "$STAGE" --home "$PREFIX" --python "$python"
    cp "$here/VERSION" "$here/uninstall.sh" "$here/words.sh" "$here/LICENSE" "$here/sbom.cdx.json" "$STAGE"
    cp -R "$here/web" "$STAGE/web"
    sum >"$STAGE/bundle"
    ln -s "$LOGS" "$STAGE/log"
    (cd "$here/root" && find . -type f | sed 's/^\.//' | sort) >"$STAGE/installed"
    if [ -n "${selinux_was:-}" ]; then
        echo "$selinux_was" >"$STAGE/selinux-before"
    elif [ -e "$PREFIX/selinux-before" ]; then
        cp "$PREFIX/selinux-before" "$STAGE"
    fi
    # Folders that only exist for our sake go with us.
    [ ! -e "$PREFIX/made" ] || cp "$PREFIX/made" "$STAGE"
    if getent passwd servha-web >/dev/null; then
        [ ! -e "$PREFIX/user" ] || cp "$PREFIX/user" "$STAGE"
    else
        echo servha-web >"$STAGE/user"
    fi
}

# The programs are replaced while servhad is away for a moment; what runs goes on and is adopted (KillMode=process).
pause_daemons() {
    [ -n "$upgrade" ] || return 0
    begin "暂停服务" "pausing the services"
    ! is_active servha-guardd.service || undo "systemctl reload servha-guardd.service"
    for unit in servwebd.service servhad.service; do
        is_active $unit || continue
        resume="$resume $unit"
        undo "systemctl start $unit"
        systemctl stop $unit
    done
}

put_programs() {
    begin "放置程序" "putting the programs in place"
    if [ -e "$PREFIX" ]; then
        undo "if [ -e $BEFORE ]; then rm -rf $PREFIX; mv $BEFORE $PREFIX; fi"
        mv "$PREFIX" "$BEFORE"
    else
        undo "rm -rf $PREFIX"
    fi
    mv "$STAGE" "$PREFIX"
}

put_files() {
    begin "放置服务单元和手册" "putting units and manual pages in place"
    while read -r file; do
        make_folder "$(dirname "$file")"
        if [ -e "$file" ]; then
            mkdir -p "$(dirname "$notes")/old$(dirname "$file")"
            cp -p "$file" "$(dirname "$notes")/old$file"
            undo "cp -p $(dirname "$notes")/old$file $file"
        else
            undo "rm -f $file"
        fi
        install -m 644 "$here/root$file" "$file"
    done <"$PREFIX/installed"
    if [ -e "$BEFORE/installed" ]; then
        sort "$PREFIX/installed" "$PREFIX/installed" "$BEFORE/installed" | uniq -u | while read -r file; do
            [ -e "$file" ] || continue
            mkdir -p "$(dirname "$notes")/old$(dirname "$file")"
            cp -p "$file" "$(dirname "$notes")/old$file"
            undo "cp -p $(dirname "$notes")/old$file $file"
            rm -f "$file"
        done
    fi
    [ "$(readlink /usr/bin/servha)" = "$PREFIX/bin/servha" ] || {
        [ ! -e /usr/bin/servha ] || { say "/usr/bin/servha 属于其他程序" "/usr/bin/servha belongs to something else" >&2; exit 1; }
        undo "rm -f /usr/bin/servha"
        ln -s "$PREFIX/bin/servha" /usr/bin/servha
    }
}

make_folder() {
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname "$1")"
    undo "rmdir $1"
    mkdir "$1"
    echo "$1" >>"$PREFIX/made"
}

add_user() {
    getent passwd servha-web >/dev/null && return 0
    begin "建立用户servha-web" "the user servha-web"
    undo "! getent passwd servha-web || userdel servha-web; ! getent group servha-web || groupdel servha-web"
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers /usr/lib/sysusers.d/servha.conf
    else
        useradd --system --user-group --home-dir "$WEB_STATE" --no-create-home --shell /usr/sbin/nologin servha-web
    fi
}

enable_units() {
    begin "启用服务" "enabling the services"
    # Undone last of all, when the unit files are as they were: backwards, this note is read after theirs.
    systemctl daemon-reload
    if [ -z "$upgrade" ]; then
        undo "systemctl disable $UNITS"
        systemctl --quiet enable $UNITS
    else
        # A unit that is new with this version; what the administrator disabled stays so.
        for unit in $UNITS; do
            grep -q "/$unit\$" "$BEFORE/installed" || systemctl --quiet enable "$unit"
        done
    fi
}

start_units() {
    begin "启动服务" "starting the services"
    if [ -z "$upgrade" ]; then
        for folder in "$CONFIGURATION" "$STATE" "$WEB_STATE" "$LOGS" /run/servha; do
            [ -e "$folder" ] || undo "rm -rf $folder"
        done
        undo ". $here/words.sh; systemctl stop servwebd.service servhad.service servha.target; end_guard; systemctl reset-failed $UNITS"
        systemctl start servha-guardd.service servhad.service
        systemctl start servwebd.service || console_stays_off
    else
        ! is_active servha-guardd.service || systemctl reload servha-guardd.service
        for unit in $resume; do
            case $unit in
                servwebd.service) systemctl start $unit || console_stays_off ;;
                *) systemctl start $unit ;;
            esac
        done
    fi
    systemctl start servha.target
}

console_stays_off() {
    say "注意: 控制台 servwebd 未能启动, 原因见 journalctl -u servwebd; 双机功能不受影响。" \
        "Note: the console servwebd did not start, journalctl -u servwebd says why; the cluster does not need it." >&2
}

# --- all of it ---

check_conditions
if [ -e "$PREFIX/bundle" ] && [ "$(cat "$PREFIX/bundle")" = "$(sum)" ]; then
    say "ServHA $version 已经安装, 无需更改。" "ServHA $version is installed already; nothing was changed."
    exit 0
fi
upgrade= resume=
[ ! -e "$PREFIX/bundle" ] || upgrade=$(cat "$PREFIX/VERSION")

trap finish EXIT
trap 'exit 130' HUP INT TERM
notes=$(mktemp -d)/undo
: >"$notes"
disable_selinux
if [ -z "$yes" ]; then
    if [ -n "$CHINESE" ]; then
        printf '%s' "您的系统已满足安装条件, 按任意键开始安装..."
    else
        printf '%s' "This machine meets all conditions; press any key to begin the installation..."
    fi
    begin "等待按键" "waiting for a key"
    any_key
fi
lay_out
pause_daemons
undo "systemctl daemon-reload"
put_programs
put_files
add_user
enable_units
start_units
done=yes
rm -rf "$BEFORE"
[ -z "$upgrade" ] || say "ServHA 已从 $upgrade 升级到 $version, 配置保留, 运行中的资源未受影响。" \
    "ServHA was upgraded from $upgrade to $version; the configuration is kept, what runs kept running."
say "=====
输入'servha'命令启动配置监控端开始配置热备系统。
恭喜你, ServHA安装完毕, 请尽情使用吧!
=====" "=====
Enter 'servha' to begin to configure the cluster.
Congratulations, ServHA $version is installed. Enjoy it!
====="
