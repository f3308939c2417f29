/*
 * libpmix, see lazy/library.h. Its macros call what its version has.
 */
#ifndef CT_LAZY_PMIX_H
#define CT_LAZY_PMIX_H

#include "lazy/library.h"

#include <pmix.h>
#include <pmix_server.h>

/* Which macros of 4.0 call, of 4.1, of 5.0 */
#if HAVE_DECL_PMIX_INFO_LOAD
#define LAZY_PMIX_LOADERS(X)                                                   \
    X(PMIx_Info_load)                                                          \
    X(PMIx_Info_xfer)                                                          \
    X(PMIx_Value_destruct)
#else
#define LAZY_PMIX_LOADERS(X)                                                   \
    X(pmix_value_load)                                                         \
    X(pmix_value_xfer)
#endif
#if HAVE_DECL_PMIX_VALUE_FREE
#define LAZY_PMIX_STRUCTS(X)                                                   \
    X(PMIx_Data_buffer_construct)                                              \
    X(PMIx_Data_buffer_destruct)                                               \
    X(PMIx_Info_destruct)                                                      \
    X(PMIx_Info_true)                                                          \
    X(PMIx_Value_free)
#else
#define LAZY_PMIX_STRUCTS(X)
#endif

#define LAZY_PMIX(X)                                                           \
    LAZY_PMIX_LOADERS(X)                                                       \
    LAZY_PMIX_STRUCTS(X)                                                       \
    X(PMIx_Abort)                                                              \
    X(PMIx_Commit)                                                             \
    X(PMIx_Data_pack)                                                          \
    X(PMIx_Data_unpack)                                                        \
    X(PMIx_Error_string)                                                       \
    X(PMIx_Fence)                                                              \
    X(PMIx_Finalize)                                                           \
    X(PMIx_Get)                                                                \
    X(PMIx_Get_version)                                                        \
    X(PMIx_Init)                                                               \
    X(PMIx_Load_topology)                                                      \
    X(PMIx_Notify_event)                                                       \
    X(PMIx_Put)                                                                \
    X(PMIx_Register_event_handler)                                             \
    X(PMIx_generate_ppn)                                                       \
    X(PMIx_generate_regex)                                                     \
    X(PMIx_server_IOF_deliver)                                                 \
    X(PMIx_server_define_process_set)                                          \
    X(PMIx_server_deregister_client)                                           \
    X(PMIx_server_deregister_nspace)                                           \
    X(PMIx_server_dmodex_request)                                              \
    X(PMIx_server_generate_cpuset_string)                                      \
    X(PMIx_server_generate_locality_string)                                    \
    X(PMIx_server_init)                                                        \
    X(PMIx_server_register_client)                                             \
    X(PMIx_server_register_nspace)                                             \
    X(PMIx_server_setup_fork)

struct lazy_pmix {
    LAZY_PMIX(LAZY_MEMBER)
};

extern struct lazy_pmix lazy_pmix;

int lazy_pmix_load(struct ct_error *reterr);

/* What it exports without telling in a header; NULL: this release does not. */
void *lazy_pmix_symbol(const char *name);

#define PMIx_Info_load lazy_pmix.PMIx_Info_load
#define PMIx_Info_xfer lazy_pmix.PMIx_Info_xfer
#define PMIx_Value_destruct lazy_pmix.PMIx_Value_destruct
#define pmix_value_load lazy_pmix.pmix_value_load
#define pmix_value_xfer lazy_pmix.pmix_value_xfer
#define PMIx_Data_buffer_construct lazy_pmix.PMIx_Data_buffer_construct
#define PMIx_Data_buffer_destruct lazy_pmix.PMIx_Data_buffer_destruct
#define PMIx_Info_destruct lazy_pmix.PMIx_Info_destruct
#define PMIx_Info_true lazy_pmix.PMIx_Info_true
#define PMIx_Value_free lazy_pmix.PMIx_Value_free
#define PMIx_Abort lazy_pmix.PMIx_Abort
#define PMIx_Commit lazy_pmix.PMIx_Commit
#define PMIx_Data_pack lazy_pmix.PMIx_Data_pack
#define PMIx_Data_unpack lazy_pmix.PMIx_Data_unpack
#define PMIx_Error_string lazy_pmix.PMIx_Error_string
#define PMIx_Fence lazy_pmix.PMIx_Fence
#define PMIx_Finalize lazy_pmix.PMIx_Finalize
#define PMIx_Get lazy_pmix.PMIx_Get
#define PMIx_Get_version lazy_pmix.PMIx_Get_version
#define PMIx_Init lazy_pmix.PMIx_Init
#define PMIx_Load_topology lazy_pmix.PMIx_Load_topology
#define PMIx_Notify_event lazy_pmix.PMIx_Notify_event
#define PMIx_Put lazy_pmix.PMIx_Put
#define PMIx_Register_event_handler lazy_pmix.PMIx_Register_event_handler
#define PMIx_generate_ppn lazy_pmix.PMIx_generate_ppn
#define PMIx_generate_regex lazy_pmix.PMIx_generate_regex
#define PMIx_server_IOF_deliver lazy_pmix.PMIx_server_IOF_deliver
#define PMIx_server_define_process_set lazy_pmix.PMIx_server_define_process_set
#define PMIx_server_deregister_client lazy_pmix.PMIx_server_deregister_client
#define PMIx_server_deregister_nspace lazy_pmix.PMIx_server_deregister_nspace
#define PMIx_server_dmodex_request lazy_pmix.PMIx_server_dmodex_request
#define PMIx_server_generate_cpuset_string                                     \
    lazy_pmix.PMIx_server_generate_cpuset_string
#define PMIx_server_generate_locality_string                                   \
    lazy_pmix.PMIx_server_generate_locality_string
#define PMIx_server_init lazy_pmix.PMIx_server_init
#define PMIx_server_register_client lazy_pmix.PMIx_server_register_client
#define PMIx_server_register_nspace lazy_pmix.PMIx_server_register_nspace
#define PMIx_server_setup_fork lazy_pmix.PMIx_server_setup_fork

#endif
