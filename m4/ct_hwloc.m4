# hwloc: binding of ranks (--bind-to, --map-by).
AC_DEFUN([CT_HWLOC], [
  CT_OPTIONAL([hwloc], [HWLOC], [hwloc >= 2.0], [binding of ranks])
  AS_IF([test $ct_have_hwloc = yes],
    [AC_DEFINE([HAVE_HWLOC], [1], [Ranks can be bound by hwloc.])
     CT_LAZY([hwloc], [hwloc_topology_init], [$HWLOC_LIBS], [HWLOC_LIBRARY])])
  AM_CONDITIONAL([HAVE_HWLOC], [test $ct_have_hwloc = yes])
])
