#!/bin/sh
# Prepares the files of the image: scripts/image-root.sh BINARY FOLDER
#
#   FOLDER/root     files of root: the binary, and the certificates that this machine trusts
#   FOLDER/owned    folders in /var/lib of user 65532; Docker fills a new volume from them, with owner and mode
#
# CA_BUNDLE selects another file of certificates.
set -eu

if [ "$#" -ne 2 ]; then
    echo 'image-root: expected a binary and a folder' >&2
    exit 2
fi
binary=$1
folder=$2
bundle=${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}
if [ ! -f "$binary" ]; then
    echo "image-root: the binary $binary does not exist. Build it with \`make static\`, or name one in BINARY" >&2
    exit 1
fi
if [ ! -s "$bundle" ]; then
    echo "image-root: the certificates $bundle do not exist. Install ca-certificates, or name a PEM file in CA_BUNDLE" >&2
    exit 1
fi

rm -rf "$folder/root" "$folder/owned"
install -D -m 0555 "$binary" "$folder/root/usr/local/bin/mission-control-runtime"
install -D -m 0444 "$bundle" "$folder/root/etc/ssl/certs/ca-certificates.crt"
# Every command reads this env file if it exists. Compose mounts a volume there: the embedded Mission Control writes the
# account and its token into it.
ln -s /var/lib/mission-control-env/runtime.env "$folder/root/etc/mission-control-runtime.env"
install -d -m 0700 "$folder/owned/mission-control" "$folder/owned/mission-control-env" \
    "$folder/owned/mission-control-runtime" "$folder/owned/mission-control-keys"
