"""The shells that are completed in: the script of each, what it sends, and what it is answered.

A script sends the line up to the cursor, as it was typed, and gets lines of ``KIND,VALUE`` or ``KIND,VALUE<TAB>HELP``.
Values are not quoted; the shell does that by its own rules.
"""

from __future__ import annotations

import os
from typing import ClassVar, Final

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, split_arg_string

_LINE: Final = "_LUCAS_STORAGE_LINE"

_BASH: Final = r"""
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} current=$2 reply kind value folder= files=
    local word=${line##*[[:space:]]}
    # The shell replaces what is behind the last colon or equals sign only.
    local cut=${word%%"$current"}
    COMPREPLY=()
    while IFS= read -r reply; do
        kind=${reply%%%%,*} value=${reply#*,}
        value=${value%%%%$'\t'*}
        case $kind in
            file | dir) files=$kind ;;
            plain)
                [[ $value == "$word"* ]] && value=${value#"$cut"}
                [[ $value == */ ]] && folder=yes
                printf -v value %%q "$value"
                COMPREPLY+=("$value")
                ;;
        esac
    done < <(env %(complete_var)s=bash_complete _LUCAS_STORAGE_LINE="$line" %(prog_name)s 2>/dev/null)
    if [[ $files && ${#COMPREPLY[@]} -eq 0 ]]; then
        compopt -o filenames
        if [[ $files == dir ]]; then
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        fi
    elif [[ $folder ]]; then
        compopt -o nospace
    fi
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH: Final = r"""
#compdef %(prog_name)s

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }

%(complete_func)s() {
    local reply kind value files
    local -a folders plain shown
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    for reply in "${(@f)$(env %(complete_var)s=zsh_complete _LUCAS_STORAGE_LINE="$line" %(prog_name)s 2>/dev/null)}"; do
        kind=${reply%%%%,*} value=${${reply#*,}%%%%$'\t'*}
        case $kind in
            (file|dir) files=$kind ;;
            (plain)
                if [[ $value == */ ]]; then
                    folders+=("$value")
                else
                    plain+=("$value")
                    [[ $reply == *$'\t'* ]] && shown+=("$value  -- ${reply#*$'\t'}") || shown+=("$value")
                fi
                ;;
        esac
    done
    (( $#folders )) && compadd -S '' -a folders
    (( $#plain )) && compadd -V names -l -d shown -a plain
    [[ -n $files && $PREFIX == -*=* ]] && compset -P '*='
    [[ $files == file ]] && _files
    [[ $files == dir ]] && _path_files -/
    return 0
}

compdef %(complete_func)s %(prog_name)s
"""

_FISH: Final = r"""
function %(complete_func)s
    set -l line (commandline -cp)
    for reply in (env %(complete_var)s=fish_complete _LUCAS_STORAGE_LINE="$line" %(prog_name)s 2>/dev/null)
        set -l parts (string split -m 1 "," -- $reply)
        switch $parts[1]
            case dir
                __fish_complete_directories (commandline -ct)
            case file
                __fish_complete_path (commandline -ct)
            case plain
                echo $parts[2]
        end
    end
end

complete --no-files --keep-order --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Shell(ShellComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is being typed, and that one."""
        # With a letter that is taken away again: the last word may be empty, or end within quotes.
        *words, last = split_arg_string(os.environ.get(_LINE, "") + "x")
        return words[1:], last[:-1]

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return the line for a candidate."""
        text = f"{item.type},{item.value}"
        return f"{text}\t{item.help}" if item.help else text


class Bash(_Shell):
    """Bash 4.4 or later."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = _BASH.lstrip()


class Zsh(_Shell):
    """Zsh."""

    name: ClassVar[str] = "zsh"
    source_template: ClassVar[str] = _ZSH.lstrip()


class Fish(_Shell):
    """Fish 3 or later."""

    name: ClassVar[str] = "fish"
    source_template: ClassVar[str] = _FISH.lstrip()


SHELLS: Final = {shell.name: shell for shell in (Bash, Zsh, Fish)}


def register() -> None:
    """Let click answer these shells in this way, and not in its own."""
    for shell in SHELLS.values():
        add_completion_class(shell)
