"""Tab completion as scripts for bash, zsh and fish: a table of words, and how each shell asks it.

Nothing of loraexp runs when tab is pressed, for Python alone takes longer to start than a reader
waits. Keys are completed to their dot first, lora. before lora.rank=, so that a list fits a screen;
behind a comma the values come again, as a sweep has them.
"""

from collections.abc import Callable, Iterable

from loraexp.config.completion import Table

BASH = r"""# Tab completion of loraexp for bash, as `python -m loraexp completion bash` prints it.
@TABLE@
_loraexp() {
    # = ends a word for readline, so the line is cut at its blanks here.
    local line=${COMP_LINE:0:COMP_POINT} at=-1 i word help current= front= behind= list=
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] || {
        i=$((${#words[@]} - 1)); current=${words[i]}; unset "words[$i]"
    }
    for ((i = 0; i < ${#words[@]}; i++)); do
        case ${words[i]} in
            loraexp | */loraexp) ((i == 0)) || [[ ${words[i - 1]} == -m ]] && at=$i ;;
        esac
    done
    COMPREPLY=()
    ((at < 0)) && return
    local verb=${words[at + 1]} bare=${current#[\'\"]}
    if [[ $verb && $bare == *=* ]]; then
        local key=${bare%%=*}
        front=${bare%"${bare##*[=,[]}"}
        list=$front behind=${bare#"$front"}
        # Readline leaves what stands before an = outside quotes alone.
        [[ $bare == "$current" && $COMP_WORDBREAKS == *=* ]] && list=${front#"$key="}
        while read -r word; do
            if [[ $word == '<files>' ]]; then
                compopt -o nospace 2> /dev/null
                while IFS= read -r word; do
                    [[ -d $word ]] && word+=/
                    [[ $bare == "$current" ]] && printf -v word %q "$word"
                    COMPREPLY+=("$list$word")
                done < <(compgen -f -- "$behind")
            elif [[ $word == "$behind"* ]]; then
                COMPREPLY+=("$list$word")
            fi
        done < <(_loraexp_values "$verb" "${key#+}")
        return
    fi
    while IFS=$'\t' read -r word help; do
        [[ $word == "$current"* ]] || continue
        [[ $current == *.* || $word != *.?* ]] || continue
        COMPREPLY+=("$word")
    done < <(_loraexp_words "$verb")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2> /dev/null
}
complete -o bashdefault -o default -F _loraexp loraexp python python3
"""

ZSH = r"""# Tab completion of loraexp for zsh, as `python -m loraexp completion zsh` prints it.
# After compinit.
@TABLE@
_loraexp_behind() {  # where in words loraexp stands
    local verb= word help
    ((CURRENT > $1 + 1)) && verb=${words[$1 + 1]}
    if [[ -n $verb && $PREFIX == *=* ]]; then
        local -a values=("${(@f)$(_loraexp_values $verb ${${PREFIX%%=*}#+})}")
        compset -P '*[=,\[]'
        if [[ $values[1] == '<files>' ]]; then _files; else compadd -a values; fi
        return
    fi
    local -a open closed
    while IFS=$'\t' read -r word help; do
        [[ $PREFIX == *.* || $word != *.?* ]] || continue
        case $word in
            *[=.]) open+=("${word//:/\\:}:$help") ;;
            *) closed+=("${word//:/\\:}:$help") ;;
        esac
    done < <(_loraexp_words $verb)
    _describe -t keys key open -S '' -- closed
}
_loraexp() { _loraexp_behind 1 }
_loraexp_of_python() {
    local at=${words[(ie)loraexp]}
    if ((at < CURRENT && at > 2)) && [[ ${words[at-1]} == -m ]]; then
        _loraexp_behind $at
    elif (($+functions[_python])); then
        _python
    else
        _files
    fi
}
compdef _loraexp loraexp
compdef _loraexp_of_python python python3
"""

FISH = r"""# Tab completion of loraexp for fish, as `python -m loraexp completion fish` prints it.
@TABLE@
function _loraexp_typed --description 'what stands before the cursor, from loraexp on'
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l at (contains --index -- loraexp (string replace --regex '.*/' '' -- $words))
    or return 1
    set -l before (math $at - 1)
    test $before -eq 0; or test "$words[$before]" = -m; or return 1
    printf '%s\n' $words[$at..-1]
end
function _loraexp_complete
    set -l words (_loraexp_typed)
    set -l current (commandline --current-token --cut-at-cursor)
    set current (string replace --regex '^[\'"]' '' -- $current)
    set -l verb $words[2]
    if test -n "$verb"; and string match --quiet '*=*' -- $current
        set -l key (string replace --regex '=.*' '' -- $current)
        set -l front (string match --regex '.*[=,\[]' -- $current)
        set -l behind (string replace -- "$front" '' $current)
        for value in (_loraexp_values "$verb $key")
            if test $value = '<files>'
                printf '%s\n' $front(__fish_complete_path $behind)
            else
                printf '%s\n' $front$value
            end
        end
        return
    end
    for line in (_loraexp_words "$verb")
        set -l word (string split --fields 1 \t -- $line)
        if string match --quiet '*.*' -- $current; or not string match --quiet '*.?*' -- $word
            printf '%s\n' $line
        end
    end
end
for program in loraexp python python3
    complete -c $program --condition _loraexp_typed --no-files --arguments '(_loraexp_complete)'
end
"""


def posix_table(table: Table) -> str:
    """Two functions for bash and zsh; no sign in a quoted here-document means anything."""
    lines = ["_loraexp_words() {", '    case "$1" in']
    for verb, words in table.lines.items():
        rows = ("\t".join(one_line(part) for part in word) for word in words)
        lines += [f"    '{verb}') cat << '.'", *rows, ".", "    ;;"]
    lines += ["    esac", "}", "_loraexp_values() {", '    case "$1 $2" in']
    for values, keys in table.values.items():
        lines += [f"    {quoted(keys, ' | ')}) cat << '.'", *values, ".", "    ;;"]
    return "\n".join([*lines, "    esac", "}"])


def fish_table(table: Table) -> str:
    lines = ["function _loraexp_words", "    switch $argv[1]"]
    for verb, words in table.lines.items():
        rows = ("\t".join(one_line(part) for part in word) for word in words)
        lines += [f"        case '{verb}'", f"            printf '%s\\n' {quoted(rows)}"]
    lines += ["    end", "end", "function _loraexp_values", "    switch $argv[1]"]
    for values, keys in table.values.items():
        lines += [f"        case {quoted(keys)}", f"            printf '%s\\n' {quoted(values)}"]
    return "\n".join([*lines, "    end", "end"])


def one_line(text: str) -> str:
    return " ".join(text.split())


def quoted(words: Iterable[str], between: str = " ") -> str:
    """In single quotes, for fish, where a backslash and a quote in them need a backslash."""
    safe = (word.replace("\\", "\\\\").replace("'", "\\'") for word in words)
    return between.join(f"'{word}'" for word in safe)


SHELLS: dict[str, Callable[[Table], str]] = {
    "bash": lambda table: BASH.replace("@TABLE@", posix_table(table)),
    "zsh": lambda table: ZSH.replace("@TABLE@", posix_table(table)),
    "fish": lambda table: FISH.replace("@TABLE@", fish_table(table)),
}
