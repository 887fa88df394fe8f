# Sourced by ../image: Debian's mirror as this machine knows it, and apt inside
# a root filesystem. Nothing here names a host: the machine's apt configuration does.
# shellcheck shell=bash

release=bookworm
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

packages_of() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/image.d/packages.$1"; }

# apt itself reads sources.list and deb822 files alike, so ask it, not the files.
mirror_of() { # mirror_of SUITE-SUFFIX: the URI this machine uses for its own release
    local codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v suite="$codename$1" '$1 == suite && $2 == "main" { print $3; exit }'
}

install_missing_tools() {
    local -A package_of=([debootstrap]=debootstrap [qemu-system-x86_64]=qemu-system-x86
        [qemu-img]=qemu-utils [mkfs.ext4]=e2fsprogs [ssh]=openssh-client [ssh-keygen]=openssh-client
        [unshare]=util-linux)
    local tool missing=()
    for tool in "${!package_of[@]}"; do
        command -v "$tool" >/dev/null || missing+=("${package_of[$tool]}")
    done
    ((${#missing[@]})) || return 0
    apt-get update -q
    apt-get install -qy --no-install-recommends "${missing[@]}"
}

find_mirrors() {
    mirror=$(mirror_of "")
    if [[ -z $mirror ]]; then
        apt-get update -q
        mirror=$(mirror_of "")
    fi
    [[ -n $mirror ]] || die "no Debian mirror in this machine's apt configuration"
    security_mirror=$(mirror_of -security)
}

write_network_sources() { # ROOT
    {
        echo "deb $mirror $release main contrib"
        echo "deb $mirror $release-updates main contrib"
        echo "deb $mirror $release-backports main contrib"
        [[ -z $security_mirror ]] || echo "deb $security_mirror $release-security main contrib"
    } >"$1/etc/apt/sources.list"
    # Proxies and clock checks of this machine hold for the builds in the root as well.
    apt-config dump --no-empty Acquire::http Acquire::https Acquire::Check-Valid-Until \
        Acquire::Check-Date >"$1/etc/apt/apt.conf.d/99lab-build"
    cp --remove-destination -L /etc/resolv.conf /etc/hosts "$1/etc/" 2>/dev/null || true
}

# The caller runs in its own mount namespace: whatever happens, no mount outlives it.
# INITRD=No keeps kernel packages from making an initrd: the lab makes its own.
in_root() { # in_root ROOT COMMAND...
    local root=$1 rc=0
    shift
    mount -t proc proc "$root/proc"
    mount --bind "$debs" "$root/var/cache/apt/archives"
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive INITRD=No "$@" || rc=$?
    umount "$root/var/cache/apt/archives" "$root/proc"
    return $rc
}

apt_in() { # apt_in ROOT ARGUMENTS...
    local root=$1
    shift
    in_root "$root" apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@"
}
