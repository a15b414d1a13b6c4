#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-fw: the default image is reproducible, what is packed is shown, each spoiled byte is found, exit codes.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

fw=$BUILD/bin/aipu-fw
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# says PATTERN COMMAND...: its output, of both kinds, has this line.
says()
{
	pattern=$1
	shift
	got=$("$@" 2>&1)
	printf '%s\n' "$got" | grep -q -- "$pattern" && return 0
	printf 'no line "%s" in:\n%s\n' "$pattern" "$got"
	return 1
}

# spoil OFFSET: a copy of the image with this byte changed.
spoil()
{
	cp "$work/a.fw" "$work/bad.fw"
	printf '\377' | dd of="$work/bad.fw" bs=1 seek="$1" conv=notrunc 2>/dev/null
}

tap_ok "the default image" "$fw" pack --default -o "$work/a.fw"
tap_ok "is good" "$fw" verify "$work/a.fw"
"$fw" pack --default -o "$work/b.fw"
tap_ok "is the same each time" cmp "$work/a.fw" "$work/b.fw"
"$fw" pack --default --key "$SRC/firmware-abi/development.pem" -o "$work/b.fw"
tap_ok "signed, it is the one that the build made" cmp "$work/b.fw" "$BUILD/firmware/aipu-soft.fw"

printf 'something to run\n' >"$work/payload"
tap_ok "all options" "$fw" pack -o "$work/c.fw" --version 3.4.567 --abi-oldest 0.9 --abi-newest 1.2 \
	--board 0x1234 --rollback 9 --payload "$work/payload" --build "nightly 7"
tap_ok "version" says '"version": "3.4.567"' "$fw" inspect "$work/c.fw" --json
tap_ok "range" says '"contract_newest": "1.2"' "$fw" inspect --json "$work/c.fw"
tap_ok "board" says '"board_id": "0x00001234"' "$fw" inspect "$work/c.fw" --json
tap_ok "rollback counter" says '"rollback": 9' "$fw" inspect "$work/c.fw" --json
tap_ok "build" says '^build: *nightly 7$' "$fw" inspect "$work/c.fw"
tap_ok "payload" says '"payload_bytes": 17' "$fw" inspect "$work/c.fw" --json
tap_ok "payload is in it" cmp "$work/payload" <(tail -c +513 "$work/c.fw")

spoil 0
tap_ok "magic" says 'not a firmware image' "$fw" verify "$work/bad.fw"
spoil 8
tap_ok "header version" says 'header version' "$fw" verify "$work/bad.fw"
spoil 300
tap_ok "reserved bytes" says 'reserved' "$fw" verify "$work/bad.fw"
spoil 24
tap_ok "a header field" says 'digest' "$fw" verify "$work/bad.fw"
spoil 600
tap_ok "a payload byte" says 'digest' "$fw" verify "$work/bad.fw"
tap_exit "a spoiled image fails" 1 "$fw" verify "$work/bad.fw"
tap_exit "and is not shown" 1 "$fw" inspect "$work/bad.fw"
head -c 511 "$work/a.fw" >"$work/bad.fw"
tap_ok "shorter than a header" says '511 bytes' "$fw" verify "$work/bad.fw"
head -c 600 "$work/a.fw" >"$work/bad.fw"
tap_ok "shorter than its header says" says 'the header says' "$fw" verify "$work/bad.fw"

# line STATUS WORD ARGUMENT...: aipu-fw says one line, on stderr, with its name and the word, and ends so.
line()
{
	want=$1
	word=$2
	got=0
	shift 2
	"${runner[@]}" "$fw" "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
	cat "$work/out" "$work/err"
	[ "$got" -eq "$want" ] || { echo "exit status $got, expected $want"; return 1; }
	[ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q '^aipu-fw: ' "$work/err" &&
		grep -qF -e "$word" "$work/err"
}
runner=()

# Signatures: OpenSSL, as another implementation, agrees with what the header says.
openssl genpkey -algorithm ed25519 -out "$work/key.pem" 2>/dev/null
openssl pkey -in "$work/key.pem" -pubout -out "$work/public.pem"
openssl genpkey -algorithm ed25519 -out "$work/other.pem" 2>/dev/null
openssl genpkey -algorithm x25519 -out "$work/x25519.pem" 2>/dev/null
by_openssl()
{
	dd if="$work/signed.fw" of="$work/digest" bs=1 skip=112 count=32 2>/dev/null
	dd if="$work/signed.fw" of="$work/signature" bs=1 skip=176 count=64 2>/dev/null
	openssl pkeyutl -verify -pubin -inkey "$work/public.pem" -rawin -in "$work/digest" -sigfile "$work/signature"
}
key_id()
{
	openssl pkey -in "$work/key.pem" -pubout -outform DER | tail -c 32 | sha256sum | cut -d' ' -f1
}
tap_ok "sign" "$fw" sign "$work/a.fw" --key "$work/key.pem" -o "$work/signed.fw"
tap_ok "OpenSSL finds the signature good" by_openssl
tap_ok "the key's id" says "\"key_id\": \"$(key_id)\"" "$fw" inspect --json "$work/signed.fw"
tap_ok "good with the private key" says 'good, signed' "$fw" verify "$work/signed.fw" --key "$work/key.pem"
tap_ok "good with the public key" says 'good, signed' "$fw" verify "$work/signed.fw" --key "$work/public.pem"
tap_ok "not checked without one" says 'was not checked' "$fw" verify "$work/signed.fw"
"$fw" pack --default --key "$work/key.pem" -o "$work/b.fw"
tap_ok "pack signs the same" cmp "$work/signed.fw" "$work/b.fw"
cp "$work/signed.fw" "$work/again.fw"
tap_ok "signed anew in place" "$fw" sign "$work/again.fw" --key "$work/other.pem"
tap_ok "by another key" line 1 'not signed with' verify "$work/again.fw" --key "$work/key.pem"
tap_ok "not signed at all" line 1 'not signed' verify "$work/a.fw" --key "$work/key.pem"
cp "$work/signed.fw" "$work/bad.fw"
printf '\377' | dd of="$work/bad.fw" bs=1 seek=180 conv=notrunc 2>/dev/null
tap_ok "a spoiled signature" line 1 'not signed with' verify "$work/bad.fw" --key "$work/key.pem"
printf '\377' | dd of="$work/bad.fw" bs=1 seek=600 conv=notrunc 2>/dev/null
tap_ok "a spoiled image is not signed" line 1 'digest' sign "$work/bad.fw" --key "$work/key.pem"
tap_ok "a public key does not sign" line 1 'private key' sign "$work/signed.fw" --key "$work/public.pem"
tap_ok "a key of another kind" line 1 'Ed25519' sign "$work/signed.fw" --key "$work/x25519.pem"
tap_ok "no such key" line 1 'none' sign "$work/signed.fw" --key "$work/none"
openssl pkey -in "$work/key.pem" -aes128 -passout pass:x -out "$work/locked.pem"
tap_ok "a key with a passphrase, which nobody is asked for" \
	line 1 'without a passphrase' sign "$work/signed.fw" --key "$work/locked.pem"
tap_ok "sign without a key" line 2 '--key KEY is missing' sign "$work/a.fw"
tap_ok "sign without a file" line 2 'FILE is missing' sign --key "$work/key.pem"
tap_ok "the image is as it was" cmp "$work/signed.fw" "$work/b.fw"

tap_ok "no command" line 2 'a command is missing'
tap_ok "unknown command" line 2 "'burn'" burn
tap_ok "no output" line 2 '-o FILE is missing' pack --default
tap_ok "output without a value" line 2 "after '-o'" pack --default -o
tap_ok "nothing to pack" line 2 '--payload FILE or --default is missing' pack -o "$work/x.fw"
tap_ok "unknown option" line 2 "unknown option '--fast'" pack --fast --default -o "$work/x.fw"
tap_ok "unknown letter" line 2 "unknown option '-x'" pack -x --default -o "$work/x.fw"
tap_ok "an argument too many" line 2 "'more'" pack --default -o "$work/x.fw" more
tap_ok "unknown option of inspect" line 2 "inspect: unknown option '--version'" inspect "$work/a.fw" --version
tap_ok "an option of inspect only" line 2 "verify: unknown option '--json'" verify "$work/a.fw" --json
tap_ok "no file to inspect" line 2 'FILE is missing' inspect
tap_ok "two files" line 2 'b.fw' verify "$work/a.fw" "$work/b.fw"
tap_ok "version out of range" line 2 1.2.65536 pack --default -o "$work/x.fw" --version 1.2.65536
tap_ok "version zero" line 2 0.0.0 pack --default -o "$work/x.fw" --version 0.0.0
tap_ok "two payloads" line 2 'exclude each other' pack --default --payload "$work/payload" -o "$work/x.fw"
tap_ok "an empty payload" line 1 'empty: a payload' pack --payload /dev/null -o "$work/x.fw"
tap_ok "standard output as output" line 2 'a file name is expected' pack --default -o -
tap_ok "of sign, too" line 2 'a file name is expected' sign "$work/a.fw" --key "$work/key.pem" -o -
tap_ok "range upside down" line 2 'oldest is above' \
	pack --default -o "$work/x.fw" --abi-oldest 2.0 --abi-newest 1.0
for text in $'two\nlines' $'\033[2J' $'\177' $'\302\233'; do
	tap_ok "control character in the build text ($(printf %s "$text" | od -An -c | tr -d '\n'))" \
		line 2 'control characters' pack --default -o "$work/x.fw" --build "$text"
done
for text in $'\xff' $'a\xc3' $'\xc0\x80' $'\xed\xa0\x80' $'\xf4\x90\x80\x80' $'\xe2\x80\xae' $'\xe2\x80\x8b'; do
	tap_ok "no text for terminals ($(printf %s "$text" | od -An -tx1))" \
		line 2 'at most 63 bytes of UTF-8' pack --default -o "$work/x.fw" --build "$text"
done
# spoiled HEX: the image that pack made with the build text XXXXXXXX has these bytes there, and the digest of that
spoiled()
{
	"$fw" pack --default -o "$work/spoiled.fw" --build XXXXXXXX && /usr/bin/python3 - "$work/spoiled.fw" "$("$fw" inspect --json "$work/spoiled.fw")" "$1" <<'T'
import hashlib, json, sys

name, fields, text = sys.argv[1], json.loads(sys.argv[2]), bytes.fromhex(sys.argv[3])
digest = bytes.fromhex(fields["sha256"])
image = open(name, "rb").read().replace(b"X" * 8, text.ljust(8, b"\0")).replace(digest, bytes(32))
at = open(name, "rb").read().index(digest)
open(name, "wb").write(image[:at] + hashlib.sha256(image).digest() + image[at + 32:])
T
}
# shown HEX TEXT: such an image is shown all the same, with this in place of its text
shown()
{
	spoiled "$1" && "$fw" inspect "$work/spoiled.fw" >"$work/text" && "$fw" inspect --json "$work/spoiled.fw" >"$work/json" || return 1
	cat -v "$work/text"
	grep -qFx "build:            $2" "$work/text" && ! LC_ALL=C grep -q '[^ -~]' "$work/text" &&
		[ "$(/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["build"])' <"$work/json")" = "$2" ]
}
tap_ok "a build text that is not UTF-8 is shown" shown 61ff62 'a?b'
tap_ok "one that turns the rest of the line around" shown 61e280ae62 'a???b'
tap_ok "one with an escape" shown 1b5b324a '?[2J'
tap_ok "a range with one end named" line 2 '1.5 to 1.0 (the default of --abi-newest): the oldest is above the newest' \
	pack --default -o "$work/x.fw" --abi-oldest 1.5
tap_ok "with the other end named" line 2 '1.0 (the default of --abi-oldest) to 0.5: the oldest is above' \
	pack --default -o "$work/x.fw" --abi-newest 0.5
tap_ok "a build text in UTF-8" "$fw" pack --default -o "$work/utf8.fw" --build 'Größe ½'
tap_ok "a line break in a bad value" line 2 '1?2' pack --default -o "$work/x.fw" --version $'1\n2'

# Only a regular file is replaced. Never try this with a device: as root it would be gone.
mkfifo "$work/pipe"
tap_ok "a pipe as output" line 1 'is a pipe; a regular file' pack --default -o "$work/pipe"
tap_ok "it is still a pipe" test -p "$work/pipe"
mkdir "$work/elsewhere"
tap_ok "a directory as output" line 1 'is a directory; a regular file' pack --default -o "$work/elsewhere"
ln -s ../pipe "$work/elsewhere/to-pipe"
tap_ok "a link to a pipe" line 1 'is a pipe' pack --default -o "$work/elsewhere/to-pipe"
tap_ok "neither is replaced" test -p "$work/pipe" -a -h "$work/elsewhere/to-pipe"
ln -s none "$work/to-none"
tap_ok "a link to nothing" line 1 'link to nothing' pack --default -o "$work/to-none"
echo old >"$work/target"
ln -s ../target "$work/elsewhere/to-file"
tap_ok "a link to a file" "$fw" pack --default -o "$work/elsewhere/to-file"
tap_ok "its target is written" cmp "$work/a.fw" "$work/target"
tap_ok "and it is still a link" test -h "$work/elsewhere/to-file"
tap_ok "nothing else is left there" test "$(ls "$work/elsewhere")" = "to-file
to-pipe"

# Permissions bind root only without the capability to override them.
mkdir "$work/locked"
cp "$work/a.fw" "$work/locked.fw"
chmod 0 "$work/locked.fw"
chmod 500 "$work/locked"
[ "$(id -u)" -ne 0 ] || runner=(setpriv "--bounding-set=-dac_override,-dac_read_search")
if "${runner[@]}" "$fw" --version >/dev/null 2>&1; then
	tap_ok "a directory one may not write" line 4 'ermission' pack --default -o "$work/locked/x.fw"
	tap_ok "a payload one may not read" line 4 'ermission' pack -o "$work/x.fw" --payload "$work/locked.fw"
	tap_ok "an image one may not read" line 4 'ermission' verify "$work/locked.fw"
else
	tap_skip "permission denied" "root, and setpriv cannot drop the capability to override permissions"
fi
runner=()

tap_ok "no such payload" line 1 none pack -o "$work/x.fw" --payload "$work/none"
tap_ok "no such directory" line 1 none pack --default -o "$work/none/x.fw"
tap_exit "a full disk" 1 sh -c '"$1" inspect "$2" --json >/dev/full' - "$fw" "$work/a.fw"
tap_ok "nothing half-written is left" test ! -e "$work/x.fw"
tap_exit "help" 0 "$fw" --help
for command in pack sign inspect verify flash activate status; do
	tap_ok "$command --help" says '^usage: aipu-fw' "$fw" $command --help
	tap_exit "$command --help is no error" 0 "$fw" $command --help
	tap_exit "$command -h is none" 0 "$fw" $command -h
done
tap_ok "an option in place of a command" line 2 "unknown option '--bogus'" --bogus
tap_ok "the schema of JSON" says '"schema_version": 2' "$fw" inspect --json "$work/a.fw"
tap_exit "version of the tool" 0 "$fw" --version
tap_done
