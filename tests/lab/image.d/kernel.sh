# Sourced by ../image: the kernel stage. Ends with base/, a minimal Debian with its kernel, and
# modules/updates, ZFS compiled for that kernel: the slow part, which seldom changes.
# shellcheck shell=bash

# Each phase builds NAME.partial and renames it, so an interrupted build resumes
# with the first phase that did not end.
phase_base() {
    local root=base.partial
    debootstrap --variant=minbase --components=main,contrib --cache-dir="$debs" \
        --include="$(packages_of base | paste -sd,)" "$release" "$root" "$mirror"
    # A build root that dies is thrown away: fsync per file only costs minutes.
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/lab-build"
    # Nothing may start in a chroot.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    cp "$here/image.d/dpkg-excludes" "$root/etc/dpkg/dpkg.cfg.d/lab-excludes"
    rm -rf "$root"/usr/share/{doc,man,locale,info}/*
    write_network_sources "$root"
    apt_in "$root" update
    apt_in "$root" upgrade
    apt_in "$root" install linux-image-cloud-amd64
}

kernel_of() { (cd "$1/lib/modules" && echo *); }

phase_modules() {
    local root=modules.partial/root kernel
    mkdir modules.partial
    cp -a base "$root"
    kernel=$(kernel_of "$root")
    # shellcheck disable=SC2046
    apt_in "$root" install $(packages_of build) "linux-headers-$kernel"
    apt_in "$root" install -t "$release-backports" zfs-dkms
    if ! [[ -e $root/lib/modules/$kernel/updates/dkms/zfs.ko ]]; then
        in_root "$root" dkms autoinstall -k "$kernel"
    fi
    cp -a "$root/lib/modules/$kernel/updates" modules.partial/updates
    rm -rf --one-file-system "$root"
}
