# OpenPMIx: the server of PMIx guests. Before 4.0 it could not serve newer clients.
AC_DEFUN([CT_PMIX], [
  CT_REQUIRED([pmix], [PMIX], [pmix >= 4.0], [PMIx guests, as Open MPI is one])
])
