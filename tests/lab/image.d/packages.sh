# Sourced by ../image: the package stage. Ends with two trees, bare/ and full/, that know
# nothing yet of lab nodes; only this stage needs the network.
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
    apt_in "$root" install -o Dpkg::Options::=--force-confold linux-image-cloud-amd64
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

phase_bare() {
    local root=bare.partial kernel
    cp -a base "$root"
    kernel=$(kernel_of "$root")
    mkdir -p "$root/lib/modules/$kernel/updates"
    cp -a modules/updates/. "$root/lib/modules/$kernel/updates/"
    in_root "$root" depmod "$kernel"
    # shellcheck disable=SC2046
    apt_in "$root" install $(packages_of bare)
    apt_in "$root" install -t "$release-backports" zfsutils-linux zfs-zed
    make_repository "$root"
}

# The file: repository that lets a node without a network install what "full" has.
make_repository() { # ROOT
    local root=$1 repo=$1/var/lib/phoenix-lab/repo deb
    mkdir -p "$repo"
    # With recommends: whoever installs may or may not ask for them.
    # shellcheck disable=SC2046
    in_root "$root" apt-get -q -y --install-recommends --print-uris install $(packages_of full) |
        sed -n "s/^'[^']*' \([^ ]*\.deb\) .*/\1/p" >repo.files
    # shellcheck disable=SC2046
    in_root "$root" apt-get -q -y --install-recommends --download-only install $(packages_of full)
    while read -r deb; do
        cp "$debs/$deb" "$repo/"
    done <repo.files
    [[ -s repo.files ]] || die "the repository came out empty"
    rm repo.files
    for deb in "$repo"/*.deb; do
        dpkg-deb -f "$deb"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "${deb##*/}" "$(stat -c %s "$deb")" \
            "$(sha256sum <"$deb" | cut -d' ' -f1)"
    done >"$repo/Packages"
    echo 'deb [trusted=yes] file:/var/lib/phoenix-lab/repo ./' >"$root/etc/apt/sources.list"
    rm -rf "$root"/var/lib/apt/lists/*
    apt_in "$root" update
}

phase_full() {
    # An empty archive directory instead of the cache of downloads: what gets installed comes
    # from the repository alone, which proves that a node without a network can do the same.
    local debs
    debs=$(mktemp -d "$PWD/no-debs.XXXXXX")
    cp -a bare full.partial
    # shellcheck disable=SC2046
    apt_in full.partial install $(packages_of full)
    rm -rf "$debs"
}
