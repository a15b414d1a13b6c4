#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Completion of the tools' command lines: every tool has it, every option of its --help is offered and nothing else is; its
# commands, values, files. Asked the way bash asks, and then with keys on a terminal, in bash, with the package
# bash-completion where it is there, and in zsh. Fish, asked by its own means, offers what bash does.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

if [ -n "${SAN:-}" ]; then
	tap_skip completion "the same in every build, checked in the plain one"
	tap_done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/in" "$work/in/my dir" "$work/in/other"
touch "$work/in/my file.qpc" "$work/in/plain"
cd "$work/in" || exit 1
PATH=$BUILD/bin:$PATH
# shellcheck source=completions/bash/aipu
. "$SRC/completions/bash/aipu"

# offered WORD...: what is offered for the last word, a line each, sorted
offered()
{
	local COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=() function
	function=$(complete -p "${1##*/}" | sed 's/.* -F \([^ ]*\) .*/\1/') && [ -n "$function" ] || return 1
	"$function" "$1" "${*: -1}" "${*: -2:1}" || return 1
	[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}" | sort
}

# offers EXPECTED WORD...: exactly these, with | between them
offers()
{
	local expected=$1
	shift
	diff <(tr '|' '\n' <<<"$expected" | sed '/^$/d' | sort) <(offered "$@")
}

# Commands that the lines of usage name
commands()
{
	"$BUILD/bin/$1" --help | sed -n "s/^[Uu]sage://; s/^ *$1 \([a-z][a-z0-9|-]*\)\( .*\)*\$/\1/p" | tr '|' '\n' | sort -u
}

every_option()
{
	local tool=$1 command
	"$BUILD/bin/$tool" --help | grep -oE -- '(^|[^-a-z0-9])--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+' |
		sort -u >"$work/help"
	[ -s "$work/help" ] || return 1
	{
		offered "$tool" -- || return 1
		for command in $(commands "$tool"); do offered "$tool" "$command" -- || return 1; done
	} | sort -u | diff "$work/help" -
}

every_command()
{
	commands "$1" >"$work/commands"
	offered "$1" "" | comm -23 "$work/commands" - >"$work/missing"
	[ ! -s "$work/missing" ] || { cat "$work/missing"; return 1; }
}

# What a|b|c stands right behind an option, of the tool or of one of its commands
every_value()
{
	local option values command
	"$BUILD/bin/$1" --help | grep -oE -- '--[a-z-]+ [a-z0-9.-]+(\|[a-z0-9.-]+)+' >"$work/values"
	while read -r option values; do
		for command in "" $(commands "$1"); do offered "$1" ${command:+"$command"} "$option" ""; done |
			sort -u | comm -23 <(tr '|' '\n' <<<"$values" | sort) - >"$work/missing"
		[ ! -s "$work/missing" ] || { echo "$option:"; cat "$work/missing"; return 1; }
	done <"$work/values"
}

# A prefix narrows it down, and a word that begins nothing gets nothing
narrows()
{
	local option
	option=$(offered "$1" -- | head -n 1)
	offered "$1" "${option%?}" | grep -qxF -- "$option" && offers "" "$1" --no-such-option
}

# keys SHELL START: the lines of $work/keys typed there end as the lines of $work/lines
keys()
{
	python3 "$SRC/tests/tools/_keys.py" "$1" "$2" "$work/in" <"$work/keys" >"$work/typed" || { cat "$work/typed"; return 1; }
	diff "$work/lines" "$work/typed"
}

# typed KEYS LINE: for keys, with a | for the line's end
typed()
{
	printf '%s\n' "$1" >>"$work/keys"
	printf '%s\n' "${2%|}" >>"$work/lines"
}

for tool in "$BUILD"/bin/aipu-*; do
	tool=${tool##*/}
	tap_ok "$tool: has a completion" complete -p "$tool"
	tap_ok "$tool: every option of --help and no other" every_option "$tool"
	tap_ok "$tool: every command" every_command "$tool"
	tap_ok "$tool: every value" every_value "$tool"
	tap_ok "$tool: what has begun narrows it down" narrows "$tool"
done

tap_ok "commands" offers "show|verify" aipu-qpc ""
tap_ok "a command has the options of its own" offers "--json" aipu-fw inspect --
tap_ok "they are all a command's, not the tool's" offers "--help|--version" aipu-fw --
tap_ok "values in the place of a name" offers "any|soft" aipu-fw pack --board ""
tap_ok "values in the explanation" offers "csv|json|table" aipu-bench --output ""
tap_ok "the same by the short option" offers "csv|json|table" aipu-bench -o ""
tap_ok "values that begin like this" offers "stories110m|stories15m" aipu-bench --shape st
tap_ok "an option and its value in one word" offers "json" aipu-bench --output = js
tap_ok "nothing of it yet" offers "csv|json|table" aipu-bench --output =
tap_ok "kinds of faults" offers "slow-boot@|slow-job@" aipu-emu --fault slow
tap_ok "devices" offers "auto|soft$(for card in $(_aipu_cards); do printf '|%s' "$card"; done)" aipu-gen --device ""
for tool in aipu-smi aipu-fwcheck "aipu-fw status" "aipu-fw flash" "aipu-fw activate"; do
	for option in -i --device; do
		# shellcheck disable=SC2086
		tap_ok "cards of $tool $option" offers "soft$(for card in $(_aipu_cards); do printf '|%s' "$card"; done)" $tool $option ""
	done
done
tap_ok "a snapshot is a file" offers "my dir|my file.qpc" aipu-fw status --read my
tap_ok "an argument without a list" offers "" aipu-gen --max-tokens ""
tap_ok "files, one with a space in its name" offers "my dir|my file.qpc" aipu-qpc show "my"
tap_ok "files of an option" offers "my dir|my file.qpc|other|plain" aipu-emu --trace ""
tap_ok "directories" offers "my dir|other" aipu-gen --qpc ""
tap_ok "directories of the short option" offers "other" aipu-compile -o ot
tap_ok "a tool by its path" offers "--show-stats" "$BUILD/bin/aipu-gen" --show
tap_ok "a program that is not there is not run" offers "" "$work/none/aipu-gen" --show

# Every form that --help may have, of a tool that is only that
mkdir "$work/bin"
cat >"$work/bin/aipu-form" <<'T'
#!/bin/sh
cat <<'H'
usage: aipu-form [-i CARD]... [--device soft] [-q | --table] [--plain[=N]] [--pick one|two|NAME]
       aipu-form do-it FILE [--slot a|b] [--to DIR]
                 [--last]
       aipu-form rest [options]
       aipu-form --version

Prose with --- and a-b|c-d in it, and a card, or soft.

  -q                no long one
  -t, --table       as a table, of rows|columns it says nothing
  --pick NAME       which
  --kind NAME       a kind: red|green, or another
  -n, --number N    1 or more
  --device soft     the software device
  --fault KIND@N    goes wrong:
                      hang@JOB   stands
                      cut@WRITE  is cut

do-it    does it
  --slot S          the slot
rest     has all there is
H
T
chmod +x "$work/bin/aipu-form"
PATH=$work/bin:$PATH
complete -F _aipu_complete aipu-form
all="--device|--fault|--kind|--number|--pick|--plain|--table"
tap_ok "forms: options before the first command are the tool's" offers "$all|--version" aipu-form --
tap_ok "forms: a command's own, over two lines" offers "--last|--slot|--to" aipu-form do-it --
tap_ok "forms: [options] are the list's, but for another command's own" offers \
	"--device|--fault|--kind|--number|--pick|--table" aipu-form rest --
tap_ok "forms: commands" offers "do-it|rest" aipu-form ""
tap_ok "forms: values of usage" offers "one|two" aipu-form --pick ""
tap_ok "forms: values of the explanation" offers "green|red" aipu-form --kind ""
tap_ok "forms: an option without an argument has none" offers "do-it|rest" aipu-form --table ""
tap_ok "forms: an argument that is optional is not waited for" offers "do-it|rest" aipu-form --plain ""
tap_ok "forms: nor guessed" offers "" aipu-form --plain =
tap_ok "forms: a literal" offers "soft" aipu-form --device ""
tap_ok "forms: cards" offers "soft|$(_aipu_cards | tr '\n' '|')" aipu-form -i ""
tap_ok "forms: a number" offers "" aipu-form -n ""
tap_ok "forms: lines of kinds" offers "cut@|hang@" aipu-form --fault ""
tap_ok "forms: a command's values" offers "a|b" aipu-form do-it --slot ""
tap_ok "forms: a command's operand" offers "my dir|my file.qpc" aipu-form do-it my

# in bash: the file read by hand, as a link that the package bash-completion finds
for name in bash bash-completion; do
	: >"$work/keys"
	: >"$work/lines"
	typed 'aipu-gen --show\t' 'aipu-gen --show-stats |'
	typed 'aipu-fw pa\t--boa\ts\t' 'aipu-fw pack --board soft |'
	typed 'aipu-bench --output=js\t' 'aipu-bench --output=json |'
	typed 'aipu-qpc show my\ f\t' 'aipu-qpc show my\ file.qpc |'
	typed 'aipu-qpc show "my f\t' 'aipu-qpc show "my file.qpc" |'
	typed 'aipu-gen --qpc my\t' 'aipu-gen --qpc my\ dir/|'
	typed 'aipu-emu --fault han\t3' 'aipu-emu --fault hang@3|'
	{
		if [ $name = bash ]; then
			echo ". '$SRC/completions/bash/aipu'"
		else
			mkdir -p "$work/user/completions"
			for tool in "$BUILD"/bin/aipu-*; do ln -s "$SRC/completions/bash/aipu" "$work/user/completions/${tool##*/}"; done
			echo "BASH_COMPLETION_USER_DIR='$work/user'; . /usr/share/bash-completion/bash_completion"
		fi
		# shellcheck disable=SC2016
		printf '%s\n' 'bind "set enable-bracketed-paste off"; bind -x "\"\C-x\C-x\": printf \"%s\\n\" \"\$READLINE_LINE\" >>\$LINE"'
	} >"$work/start"
	if [ $name = bash ] || [ -e /usr/share/bash-completion/bash_completion ]; then
		tap_ok "$name: typed on a terminal" keys bash "$work/start"
	else
		tap_skip "$name: typed on a terminal" "no package bash-completion"
	fi
done

cat >"$work/start" <<T
fpath=('$SRC/completions/zsh' \$fpath); autoload -U compinit; compinit -u -D
line() { print -r -- "\$BUFFER" >>\$LINE }; zle -N line; bindkey '^X^X' line; bindkey '^U' kill-whole-line
T
if command -v zsh >/dev/null; then
	tap_ok "zsh: typed on a terminal" keys zsh "$work/start"
else
	tap_skip "zsh: typed on a terminal" "no zsh"
fi

# Lines up to the word that is being typed, for fish and for bash: every option, command and value of every tool, then files
lines()
{
	local tool command option
	for tool in "$BUILD"/bin/aipu-*; do
		tool=${tool##*/}
		for command in "" $(commands "$tool"); do
			echo "$tool${command:+ $command} --"
			echo "$tool${command:+ $command} "
			_aipu_help "$tool" ${command:+"$command"} | sed -n 's/^option|\([^|]*\)|\([^|]*\)|.*/\1\n\2/p' | sed '/^$/d' |
				while read -r option; do echo "$tool${command:+ $command} $option "; done
		done
	done
	echo "aipu-gen --show"
	echo "aipu-fw pack --board s"
	echo "aipu-emu --fault slow"
	echo "aipu-form --pick t"
	echo "aipu-form do-it --slot "
	echo "aipu-form -i "
	echo "$BUILD/bin/aipu-gen --show"
	echo "$work/none/aipu-gen --show"
}

# Directories have a slash behind them in fish
as_fish()
{
	while IFS= read -r line; do
		echo "> $line"
		read -ra words <<<"$line"
		[ "${line% }" = "$line" ] || words+=("")
		offered "${words[@]}"
	done
}

fish_offers()
{
	# shellcheck disable=SC2016
	fish -N -c 'source $argv[1]
		complete -c aipu-form -f -a "(__aipu_complete)"
		while read -l line; echo "> $line"; complete -C $line | cut -f 1 | sort; end' \
		"$SRC/completions/fish/aipu.fish" <"$work/asked" >"$work/fish" 2>"$work/fish.err" || return 1
	sed -i 's,/$,,' "$work/fish"
	[ ! -s "$work/fish.err" ] || { cat "$work/fish.err"; return 1; }
	diff "$work/bash" "$work/fish"
}

# fish_line EXPECTED LINE: as they are in fish, with | between, a description behind each of which it has one
fish_line()
{
	# shellcheck disable=SC2016
	diff <(tr '|' '\n' <<<"$1") <(fish -N -c 'source $argv[1]; complete -C $argv[2]' "$SRC/completions/fish/aipu.fish" "$2")
}

if command -v fish >/dev/null; then
	lines >"$work/asked"
	as_fish <"$work/asked" >"$work/bash"
	tap_ok "fish: more than two hundred lines are asked" test "$(wc -l <"$work/asked")" -gt 200
	tap_ok "fish: offers what bash does" fish_offers
	tap_ok "fish: what an option does" fish_line $'--show-stats\ttimes, rates, energy, memory traffic on standard error' "aipu-gen --show"
	tap_ok "fish: what a command does" fish_line $'verify\tchecks header, sections and all weights against their digests;' "aipu-qpc ver"
	tap_ok "fish: an option and its value in one word" fish_line "--output=json" "aipu-bench --output=j"
	tap_ok "fish: a directory of an option in one word" fish_line "--qpc=my dir/" "aipu-gen --qpc=my"
	tap_ok "fish: a file with a space in its name" fish_line "my file.qpc" 'aipu-qpc show my\ f'
	tap_ok "fish: in quotes" fish_line "my file.qpc" 'aipu-qpc show "my f'
	tap_ok "fish: behind another command and a variable" fish_line "soft" "true | AIPU_X=1 aipu-gen --device s"
else
	tap_skip "fish" "no fish"
fi
tap_done
