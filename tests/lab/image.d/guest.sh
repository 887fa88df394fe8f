# Sourced by ../image: a VM that runs on a hypervisor, as an administrator's template would be: Debian with cloud-init, and
# what Phoenix's data ask for is not installed yet.
# shellcheck shell=bash

phase_guest() {
    local root=guest.partial
    cp -a "$base/base" "$root"
    # shellcheck disable=SC2046
    apt_in "$root" install $(packages_of guest)
    make_repository "$root" client
    # A guest of this lab has no way to Debian's mirrors, no network that cloud-init should set up, and no locales.
    cat >"$root/etc/cloud/cloud.cfg.d/99-lab.cfg" <<'END'
network: {config: disabled}
apt: {preserve_sources_list: true}
locale: false
END
}
