# Completion of ctrun(1) for bash, with the functions of bash-completion.
# shellcheck shell=bash
#
# The words between two ":" are a segment, "[options] IMAGE COMMAND [ARG...]".
# What stands before the cursor in its segment tells what is to come: an option,
# its value, the image, or a command, whose own completion takes over then.
# tests/rules/options compares the options here with those of the program.
#
# The functions share what _ctrun() declares: cur, prev, words and cword, as
# _init_completion sets them; place; option, whose value is to come; first, the
# index of the command; segment, counted from 1; bare, if there is no container.

_ctrun_options()
{
    local of_app="-n -np --np --ntasks -B --bind --no-home --scratch --inject-pmi
        --writable-tmpfs --pwd --env -e --cleanenv --no-container"
    local of_job="--engine --engine-args --hosts --hostfile -N --nodes
        --ntasks-per-node --host --overlay-if --pmi --pset --tools --bind-to --map-by --cpus-per-rank --oversubscribe
        --report-bindings -l --label --tag-output --output --stdin --timeout
        --on-failure --kill-grace --dry-run -v -vv --verbose -q --quiet -h --help
        --version"

    [ "$segment" -gt 1 ] || of_app+=" $of_job"
    mapfile -t COMPREPLY < <(compgen -W "$of_app" -- "$cur")
}

# Is the value of this option in the next word?
_ctrun_takes_value() # WORD
{
    case $1 in
    -n | -np | --np | --ntasks | -B | --bind | --scratch | --pwd | --env) ;;
    --bind-to | --map-by | --cpus-per-rank | --output | --stdin) ;;
    --engine | --engine-args | --hosts | --hostfile | -N | --nodes) ;;
    --ntasks-per-node | --host | --overlay-if) ;;
    --pset | --on-failure | --timeout | --kill-grace) ;;
    *) [[ $1 =~ ^-[elvqh]+[nNB]$ ]] ;;
    esac
}

# One word before the cursor: place becomes what is to come behind it, option
# (or the image), value, image, program (the command) or arguments.
_ctrun_step() # INDEX
{
    local word=${words[$1]}

    if [ "$word" = : ]; then
        place=option bare='' segment=$((segment + 1))
        return
    fi
    case $place,$word in
    value,*) place=option ;;
    option,--) place=image ;;
    option,-?*)
        [ "$word" != --no-container ] || bare=yes
        ! _ctrun_takes_value "$word" || place=value option=$word
        ;;
    option,* | image,*)
        place=program
        [ -z "$bare" ] || place=arguments first=$1
        ;;
    program,--) ;;
    program,*) place=arguments first=$1 ;;
    esac
}

_ctrun_bind()
{
    local item=${cur##*,} last=${cur##*[,:]} colons
    local before=${cur%"$last"}

    colons=${item//[^:]/}
    cur=$last
    if [ ${#colons} -ge 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W "ro rw" -- "$cur")
    else
        _filedir
        compopt -o nospace
    fi
    # Readline has cut the word at ":" already.
    [[ $COMP_WORDBREAKS != *:* ]] || before=${before##*:}
    COMPREPLY=("${COMPREPLY[@]/#/$before}")
}

_ctrun_value()
{
    local choices=

    case $option in
    --pmi) choices="auto pmi1 pmi2 pmix none" ;;
    --engine) choices="local srun mpirun mpiexec prun" ;;
    --host) choices="pmix pmi2 pmi1 local" ;;
    --hostfile) _filedir ;;
    --overlay-if) choices=$(cd /sys/class/net && echo *) ;;
    --on-failure) choices="end continue" ;;
    --bind-to) choices="none core numa socket" ;;
    --map-by) choices="core numa socket" ;;
    --stdin) choices="0 all none tool" ;;
    --bind | -*B) _ctrun_bind ;;
    --scratch | --pwd) _filedir -d ;;
    --output) _filedir ;;
    --env)
        mapfile -t COMPREPLY < <(compgen -v -S = -- "$cur")
        compopt -o nospace
        ;;
    esac
    [ -z "$choices" ] ||
        mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
}

_ctrun_command()
{
    COMP_WORDS=("${words[@]}")
    COMP_CWORD=$cword
    _command_offset "$first"
}

_ctrun()
{
    local cur prev words cword split
    local place=option option='' first=0 segment=1 bare='' i

    _init_completion -s -n : || return
    for ((i = 1; i < cword; i++)); do
        _ctrun_step "$i"
    done
    if [ "$place" = option ] && "$split"; then # name and value are one word
        place=value option=$prev
    elif [ "$place" = option ] && [[ $cur != -* ]]; then
        place=image
    fi
    [ "$place$bare" != imageyes ] || place=program
    [ "$place" != program ] || first=$cword
    case $place in
    value) _ctrun_value ;;
    option) _ctrun_options ;;
    image) _filedir ;;
    program | arguments) _ctrun_command ;;
    esac
} && complete -F _ctrun ctrun
