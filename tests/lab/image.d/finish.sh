# Sourced by ../image: turns the trees of the package stage into bootable disks. Quick and
# without a network, so that a change here does not cost a new ZFS build.
# shellcheck shell=bash

initrd_modules=(virtio_pci virtio_blk virtio_net crc32c ext4)
disk_size=8G

phase_key() { ssh-keygen -q -t ed25519 -N '' -C phoenix-lab -f id_ed25519; }

phase_kernel() {
    local tree=$packages/bare kernel path
    kernel=$(kernel_of "$tree")
    cp "$tree/boot/vmlinuz-$kernel" vmlinuz.partial
    rm -rf initrd.tree
    mkdir -p initrd.tree/bin initrd.tree/modules
    cp "$tree/bin/busybox" initrd.tree/bin/
    install -m 755 "$here/image.d/init" initrd.tree/init
    # --show-depends prints the modules in the order they must be loaded.
    chroot "$tree" modprobe -S "$kernel" --show-depends -a "${initrd_modules[@]}" |
        awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
        while read -r path; do
            cp "$tree$path" initrd.tree/modules/
            echo "${path##*/}"
        done >initrd.tree/modules.order
    mv initrd.tree/modules.order initrd.tree/modules/order
    [[ -s initrd.tree/modules/order ]] || die "no module found for the initrd"
    # Uncompressed: unpacking costs an emulated CPU more than reading.
    (cd initrd.tree && find . | "$tree/bin/busybox" cpio -o -H newc 2>/dev/null) >initrd.partial
    rm -rf initrd.tree
    mv initrd.partial initrd.img
    mv vmlinuz.partial vmlinuz
}

make_lab_node() { # ROOT: from a Debian tree to a node of the lab
    local root=$1 unit n
    rm -f "$root"/usr/sbin/policy-rc.d "$root"/etc/dpkg/dpkg.cfg.d/lab-build \
        "$root"/etc/apt/apt.conf.d/99lab-build "$root"/etc/resolv.conf
    rm -rf "$root"/var/log/*.log "$root"/var/log/apt/* "$root"/var/cache/apt/*.bin
    # Host name and machine id come with the kernel's command line, so that one image serves
    # all nodes; an empty machine-id (unlike none) is no first boot, which would reset presets.
    echo phoenix-lab >"$root/etc/hostname"
    : >"$root/etc/machine-id"
    {
        echo '127.0.0.1 localhost'
        for n in 1 2 3 4 5 6 7 8 9; do echo "10.77.0.$n hv$n"; done
    } >"$root/etc/hosts"
    : >"$root/etc/fstab" # the initrd has mounted all there is
    install -d -m 700 "$root/root/.ssh"
    install -m 600 id_ed25519.pub "$root/root/.ssh/authorized_keys"
    words_of masked-units | while read -r unit; do
        ln -sfn /dev/null "$root/etc/systemd/system/$unit"
    done
    mkdir -p "$root/etc/systemd/system-generators"
    words_of masked-generators | while read -r unit; do
        ln -sfn /dev/null "$root/etc/systemd/system-generators/$unit"
    done
    ln -sfn /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
    # Say that generated files are newer than /usr, or systemd renews them at each first boot.
    touch "$root/etc/.updated" "$root/var/.updated"
}

make_disk() { # NAME STAGE: NAME.qcow2 from the tree of that name
    local name=$1 stage=$2
    rm -rf --one-file-system "$name.tree" "$name.raw"
    cp -a "$stage/$name" "$name.tree"
    make_lab_node "$PWD/$name.tree"
    # A guest is no hypervisor.
    if [[ $name != guest && -x $here/standin/install ]]; then "$here/standin/install" "$PWD/$name.tree"; fi
    chroot "$name.tree" dpkg-query -W >"$name.packages"
    truncate -s "$disk_size" "$name.raw"
    mkfs.ext4 -q -L lab -N 200000 -m 0 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard \
        -d "$name.tree" "$name.raw"
    rm -rf --one-file-system "$name.tree"
    qemu-img convert -O qcow2 "$name.raw" "$name.qcow2.partial"
    rm -f "$name.raw"
    mv "$name.qcow2.partial" "$name.qcow2"
}

phase_bare_disk() { make_disk bare "$packages"; }
phase_full_disk() { make_disk full "$packages"; }
phase_guest_disk() { make_disk guest "$guest"; }

phase_manifest() {
    {
        echo "release $release"
        echo "kernel $(kernel_of "$packages/bare")"
        sed 's/^/bare /' bare.packages
        comm -13 <(sort bare.packages) <(sort full.packages) | sed 's/^/full /'
        sed 's/^/guest /' guest.packages
    } >manifest
    rm bare.packages full.packages guest.packages
}
