# How all optional and required libraries are asked for. They are found by
# pkg-config: PKG_CONFIG_PATH, or X_CFLAGS and X_LIBS, say where they are.

# CT_OPTIONAL(NAME, VARIABLE, PKG-CONFIG WORDS, USE)
# --with-NAME=yes|no|auto; sets ct_have_NAME to yes or no. A library that was
# asked for and is not there is an error.
AC_DEFUN([CT_OPTIONAL], [
  AC_ARG_WITH([$1],
    [AS_HELP_STRING([--with-$1=yes|no|auto], [$4 (default: auto)])],
    [], [with_$1=auto])
  ct_have_$1=no
  AS_CASE([$with_$1],
    [no], [CT_NOTE([$1], [no (--without-$1)])],
    [yes|auto],
    [PKG_CHECK_MODULES([$2], [$3],
       [ct_have_$1=yes
        CT_NOTE([$1], [`$PKG_CONFIG --modversion "m4_car(m4_unquote(m4_split([$3])))" 2>/dev/null`: $4])],
       [CT_NOTE([$1], [no (pkg-config does not find $3)])])],
    [AC_MSG_ERROR([--with-$1=$with_$1: say yes, no or auto; PKG_CONFIG_PATH dnl
tells where things are])])
  AS_IF([test $with_$1 = yes && test $ct_have_$1 = no],
    [AC_MSG_ERROR([--with-$1: pkg-config does not find "$3"])])
])

# CT_REQUIRED(NAME, VARIABLE, PKG-CONFIG WORDS, USE)
AC_DEFUN([CT_REQUIRED], [
  PKG_CHECK_MODULES([$2], [$3],
    [CT_NOTE([$1], [`$PKG_CONFIG --modversion "m4_car(m4_unquote(m4_split([$3])))" 2>/dev/null`: $4])],
    [AC_MSG_ERROR([$1 is needed: $4. pkg-config does not find "$3"])])
])
