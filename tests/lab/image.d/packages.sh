# Sourced by ../image: the package stage. Ends with two trees, bare/ and full/, that know
# nothing yet of lab nodes. This stage and the kernel stage need the network.
# shellcheck shell=bash

phase_bare() {
    local root=bare.partial kernel
    cp -a "$base/base" "$root"
    kernel=$(kernel_of "$root")
    mkdir -p "$root/lib/modules/$kernel/updates"
    cp -a "$base/modules/updates/." "$root/lib/modules/$kernel/updates/"
    in_root "$root" depmod "$kernel"
    # shellcheck disable=SC2046
    apt_in "$root" install $(packages_of bare)
    apt_in "$root" install -t "$release-backports" zfsutils-linux zfs-zed
    make_repository "$root" full
}

# The file: repository that lets a machine without a network install the packages of LIST.
make_repository() { # ROOT LIST
    local root=$1 list=$2 repo=$1/var/lib/phoenix-lab/repo deb
    mkdir -p "$repo" "$root/var/cache/lab-none/partial"
    # With recommends: whoever installs may or may not ask for them. Asked with an empty
    # archive, or apt would not name what an earlier build has downloaded.
    # shellcheck disable=SC2046
    in_root "$root" apt-get -q -y --install-recommends -o Dir::Cache::archives=/var/cache/lab-none \
        --print-uris install $(packages_of "$list") |
        sed -n "s/^'[^']*' \([^ ]*\.deb\) .*/\1/p" >repo.files
    rm -r "$root/var/cache/lab-none"
    # shellcheck disable=SC2046
    in_root "$root" apt-get -q -y --install-recommends --download-only install $(packages_of "$list")
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
