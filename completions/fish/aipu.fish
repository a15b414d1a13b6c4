# SPDX-License-Identifier: MIT
# Completion of the aipu tools for fish. What is offered comes from the tool's own --help, which the functions of bash's
# completion read: ../bash/aipu in the sources, ../../bash-completion/completions/aipu where it is installed. Needs bash and awk;
# fish finds it by each tool's name, or:
#   source completions/fish/aipu.fish
# Nothing here may write to the terminal.

set -g __aipu_here (builtin realpath (status dirname))

# __aipu_ask FUNCTION ARGUMENT...: a function of bash's completion
function __aipu_ask
    for file in $__aipu_here/../bash/aipu $__aipu_here/../../bash-completion/completions/aipu
        if test -r $file
            bash -c '. "$1" && "${@:2}"' _ $file $argv 2>/dev/null
            return
        end
    end
end

# __aipu_offer KIND VALUES BEGUN BEFORE: what an argument may be, of which BEGUN is there, each with BEFORE in front
function __aipu_offer
    switch $argv[1]
        # As fish completes an operand of a command that it does not know: with quotes and ~, in every version
        case files
            printf '%s\n' $argv[4](complete --do-complete "'' $argv[3]")
        case directories
            printf '%s\n' $argv[4](complete --do-complete "'' $argv[3]" | string match --regex '.*/$')
        case device
            printf '%s\n' $argv[4](__aipu_ask _aipu_cards)
    end
    printf '%s\n' $argv[4](string split --no-empty ' ' -- $argv[2])
end

function __aipu_complete
    set -l words (commandline --tokenize --current-process --cut-at-cursor)
    set -l begun (commandline --current-token --cut-at-cursor)
    # Variables may stand before it
    while set -q words[1] && not string match --quiet --regex '(^|/)aipu-[a-z]+$' -- $words[1]
        set -e words[1]
    end
    set -q words[1]; or return
    set -l tool (string replace --regex '^~/' $HOME/ -- $words[1])
    set -l previous $words[-1]
    set -l before
    command --query -- $tool; or return
    set -l items (__aipu_ask _aipu_help $tool)
    for word in $words[2..]
        if string match --quiet -- "command|$word|*" $items
            set items (__aipu_ask _aipu_help $tool $word)
            break
        end
    end
    # "--option=value" is one word
    if set -l parts (string match --regex -- '^(--[a-z-]+)=(.*)$' $begun)
        set previous $parts[2]
        set begun $parts[3]
        set before "$previous="
    end
    for item in $items
        set -l part (string split --max 5 '|' -- $item)
        # type, name, letter, kind, values
        if test "$part[1]" = option -a -n "$part[4]" && string match --quiet -- '-*' $previous
            and contains -- $previous $part[2] $part[3]
            __aipu_offer $part[4] $part[5] "$begun" "$before"
            return
        end
    end
    test -z "$before"; or return
    set -l dashed (string match -- '-*' "$begun")
    for item in $items
        set -l part (string split --max 5 '|' -- $item)
        switch $part[1]
            case option
                test -n "$dashed" -a -n "$part[2]"; and printf '%s\t%s\n' $part[2] $part[6]
            case command
                test -z "$dashed"; and printf '%s\t%s\n' $part[2] $part[3]
            case operand
                test -z "$dashed"; and __aipu_offer $part[2] $part[3] "$begun" ""
        end
    end
end

# The tool whose name the file was found by; else every tool: of the sources, or of a list
switch (status basename)
    case 'aipu-*'
        complete --command (string replace --regex '\.fish$' '' (status basename)) --no-files --arguments '(__aipu_complete)'
    case '*'
        for __aipu_tool in $__aipu_here/../../tools/aipu-*
            complete --command (string replace --regex '.*/' '' $__aipu_tool) --no-files --arguments '(__aipu_complete)'
        end
        set -e __aipu_tool
end
