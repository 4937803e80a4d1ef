//! The columns of each table of `pg_catalog`: name and type of each, as PostgreSQL 15 has them and in its order.
//! (Of tables: `src/include/catalog/*.h` of its source; of views: `src/backend/catalog/system_views.sql`.)

pub(super) const PG_AGGREGATE: &str = "aggfnoid regproc, aggkind char, aggnumdirectargs int2, aggtransfn regproc, aggfinalfn regproc, \
     aggcombinefn regproc, aggserialfn regproc, aggdeserialfn regproc, aggmtransfn regproc, aggminvtransfn regproc, \
     aggmfinalfn regproc, aggfinalextra bool, aggmfinalextra bool, aggfinalmodify char, aggmfinalmodify char, \
     aggsortop oid, aggtranstype oid, aggtransspace int4, aggmtranstype oid, aggmtransspace int4, agginitval text, \
     aggminitval text";
pub(super) const PG_AM: &str = "oid oid, amname name, amhandler regproc, amtype char";
pub(super) const PG_ATTRDEF: &str = "oid oid, adrelid oid, adnum int2, adbin pg_node_tree";
pub(super) const PG_ATTRIBUTE: &str = "attrelid oid, attname name, atttypid oid, attstattarget int4, attlen int2, attnum int2, attndims int4, \
     attcacheoff int4, atttypmod int4, attbyval bool, attalign char, attstorage char, attcompression char, \
     attnotnull bool, atthasdef bool, atthasmissing bool, attidentity char, attgenerated char, attisdropped bool, \
     attislocal bool, attinhcount int4, attcollation oid, attacl aclitem[], attoptions text[], attfdwoptions text[], \
     attmissingval text[]";
pub(super) const PG_AUTH_MEMBERS: &str = "roleid oid, member oid, grantor oid, admin_option bool";
pub(super) const PG_AUTHID: &str = "oid oid, rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin bool, \
     rolreplication bool, rolbypassrls bool, rolconnlimit int4, rolpassword text, rolvaliduntil timestamptz";
pub(super) const PG_CAST: &str =
    "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, castmethod char";
pub(super) const PG_CLASS: &str = "oid oid, relname name, relnamespace oid, reltype oid, reloftype oid, relowner oid, relam oid, relfilenode oid, \
     reltablespace oid, relpages int4, reltuples float4, relallvisible int4, reltoastrelid oid, relhasindex bool, \
     relisshared bool, relpersistence char, relkind char, relnatts int2, relchecks int2, relhasrules bool, \
     relhastriggers bool, relhassubclass bool, relrowsecurity bool, relforcerowsecurity bool, relispopulated bool, \
     relreplident char, relispartition bool, relrewrite oid, relfrozenxid xid, relminmxid xid, relacl aclitem[], \
     reloptions text[], relpartbound pg_node_tree";
pub(super) const PG_COLLATION: &str = "oid oid, collname name, collnamespace oid, collowner oid, collprovider char, collisdeterministic bool, \
     collencoding int4, collcollate text, collctype text, colliculocale text, collversion text";
pub(super) const PG_CONSTRAINT: &str = "oid oid, conname name, connamespace oid, contype char, condeferrable bool, condeferred bool, convalidated bool, \
     conrelid oid, contypid oid, conindid oid, conparentid oid, confrelid oid, confupdtype char, confdeltype char, \
     confmatchtype char, conislocal bool, coninhcount int4, connoinherit bool, conkey int2[], confkey int2[], \
     conpfeqop oid[], conppeqop oid[], conffeqop oid[], confdelsetcols int2[], conexclop oid[], conbin pg_node_tree";
pub(super) const PG_CONVERSION: &str = "oid oid, conname name, connamespace oid, conowner oid, conforencoding int4, contoencoding int4, conproc regproc, \
     condefault bool";
pub(super) const PG_DATABASE: &str = "oid oid, datname name, datdba oid, encoding int4, datlocprovider char, datistemplate bool, datallowconn bool, \
     datconnlimit int4, datfrozenxid xid, datminmxid xid, dattablespace oid, datcollate text, datctype text, \
     daticulocale text, datcollversion text, datacl aclitem[]";
pub(super) const PG_DB_ROLE_SETTING: &str = "setdatabase oid, setrole oid, setconfig text[]";
pub(super) const PG_DEFAULT_ACL: &str =
    "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl aclitem[]";
pub(super) const PG_DEPEND: &str =
    "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid int4, deptype char";
pub(super) const PG_DESCRIPTION: &str = "objoid oid, classoid oid, objsubid int4, description text";
pub(super) const PG_ENUM: &str = "oid oid, enumtypid oid, enumsortorder float4, enumlabel name";
pub(super) const PG_EVENT_TRIGGER: &str =
    "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, evttags text[]";
pub(super) const PG_EXTENSION: &str = "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, extversion text, extconfig oid[], \
     extcondition text[]";
pub(super) const PG_FOREIGN_DATA_WRAPPER: &str =
    "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl aclitem[], fdwoptions text[]";
pub(super) const PG_FOREIGN_SERVER: &str = "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text, srvversion text, srvacl aclitem[], \
     srvoptions text[]";
pub(super) const PG_FOREIGN_TABLE: &str = "ftrelid oid, ftserver oid, ftoptions text[]";
pub(super) const PG_INDEX: &str = "indexrelid oid, indrelid oid, indnatts int2, indnkeyatts int2, indisunique bool, indnullsnotdistinct bool, \
     indisprimary bool, indisexclusion bool, indimmediate bool, indisclustered bool, indisvalid bool, \
     indcheckxmin bool, indisready bool, indislive bool, indisreplident bool, indkey int2vector, \
     indcollation oidvector, indclass oidvector, indoption int2vector, indexprs pg_node_tree, indpred pg_node_tree";
pub(super) const PG_INHERITS: &str = "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool";
pub(super) const PG_INIT_PRIVS: &str = "objoid oid, classoid oid, objsubid int4, privtype char, initprivs aclitem[]";
pub(super) const PG_LANGUAGE: &str = "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, lanplcallfoid oid, laninline oid, \
     lanvalidator oid, lanacl aclitem[]";
pub(super) const PG_LARGEOBJECT_METADATA: &str = "oid oid, lomowner oid, lomacl aclitem[]";
pub(super) const PG_NAMESPACE: &str = "oid oid, nspname name, nspowner oid, nspacl aclitem[]";
pub(super) const PG_OPCLASS: &str = "oid oid, opcmethod oid, opcname name, opcnamespace oid, opcowner oid, opcfamily oid, opcintype oid, \
     opcdefault bool, opckeytype oid";
pub(super) const PG_OPERATOR: &str = "oid oid, oprname name, oprnamespace oid, oprowner oid, oprkind char, oprcanmerge bool, oprcanhash bool, \
     oprleft oid, oprright oid, oprresult oid, oprcom oid, oprnegate oid, oprcode regproc, oprrest regproc, \
     oprjoin regproc";
pub(super) const PG_OPFAMILY: &str = "oid oid, opfmethod oid, opfname name, opfnamespace oid, opfowner oid";
pub(super) const PG_PARTITIONED_TABLE: &str = "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2vector, partclass oidvector, \
     partcollation oidvector, partexprs pg_node_tree";
pub(super) const PG_POLICY: &str = "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles oid[], polqual pg_node_tree, \
     polwithcheck pg_node_tree";
pub(super) const PG_PROC: &str = "oid oid, proname name, pronamespace oid, proowner oid, prolang oid, procost float4, prorows float4, \
     provariadic oid, prosupport regproc, prokind char, prosecdef bool, proleakproof bool, proisstrict bool, \
     proretset bool, provolatile char, proparallel char, pronargs int2, pronargdefaults int2, prorettype oid, \
     proargtypes oidvector, proallargtypes oid[], proargmodes char[], proargnames text[], \
     proargdefaults pg_node_tree, protrftypes oid[], prosrc text, probin text, prosqlbody pg_node_tree, \
     proconfig text[], proacl aclitem[]";
pub(super) const PG_PUBLICATION: &str = "oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, pubupdate bool, pubdelete bool, \
     pubtruncate bool, pubviaroot bool";
pub(super) const PG_PUBLICATION_NAMESPACE: &str = "oid oid, pnpubid oid, pnnspid oid";
pub(super) const PG_PUBLICATION_REL: &str =
    "oid oid, prpubid oid, prrelid oid, prqual pg_node_tree, prattrs int2vector";
pub(super) const PG_RANGE: &str = "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, rngcanonical regproc, \
     rngsubdiff regproc";
pub(super) const PG_REWRITE: &str = "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, is_instead bool, ev_qual pg_node_tree, \
     ev_action pg_node_tree";
pub(super) const PG_SECLABEL: &str = "objoid oid, classoid oid, objsubid int4, provider text, label text";
pub(super) const PG_SECLABELS: &str =
    "objoid oid, classoid oid, objsubid int4, objtype text, objnamespace oid, objname text, provider text, label text";
pub(super) const PG_SEQUENCE: &str = "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, seqmin int8, seqcache int8, \
     seqcycle bool";
pub(super) const PG_SHDEPEND: &str =
    "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, deptype char";
pub(super) const PG_SHDESCRIPTION: &str = "objoid oid, classoid oid, description text";
pub(super) const PG_STATISTIC_EXT: &str = "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget int4, stxkeys int2vector, \
     stxkind char[], stxexprs pg_node_tree";
pub(super) const PG_STATISTIC_EXT_DATA: &str = "stxoid oid, stxdinherit bool, stxdndistinct pg_ndistinct, stxddependencies pg_dependencies, stxdmcv pg_mcv_list, \
     stxdexpr pg_statistic[]";
pub(super) const PG_SUBSCRIPTION: &str = "oid oid, subdbid oid, subskiplsn pg_lsn, subname name, subowner oid, subenabled bool, subbinary bool, \
     substream bool, subtwophasestate char, subdisableonerr bool, subconninfo text, subslotname name, \
     subsynccommit text, subpublications text[]";
pub(super) const PG_TABLESPACE: &str = "oid oid, spcname name, spcowner oid, spcacl aclitem[], spcoptions text[]";
pub(super) const PG_TRANSFORM: &str = "oid oid, trftype oid, trflang oid, trffromsql regproc, trftosql regproc";
pub(super) const PG_TRIGGER: &str = "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, tgenabled char, tgisinternal bool, \
     tgconstrrelid oid, tgconstrindid oid, tgconstraint oid, tgdeferrable bool, tginitdeferred bool, tgnargs int2, \
     tgattr int2vector, tgargs bytea, tgqual pg_node_tree, tgoldtable name, tgnewtable name";
pub(super) const PG_TS_CONFIG: &str = "oid oid, cfgname name, cfgnamespace oid, cfgowner oid, cfgparser oid";
pub(super) const PG_TS_CONFIG_MAP: &str = "mapcfg oid, maptokentype int4, mapseqno int4, mapdict oid";
pub(super) const PG_TS_DICT: &str =
    "oid oid, dictname name, dictnamespace oid, dictowner oid, dicttemplate oid, dictinitoption text";
pub(super) const PG_TS_PARSER: &str = "oid oid, prsname name, prsnamespace oid, prsstart regproc, prstoken regproc, prsend regproc, \
     prsheadline regproc, prslextype regproc";
pub(super) const PG_TS_TEMPLATE: &str =
    "oid oid, tmplname name, tmplnamespace oid, tmplinit regproc, tmpllexize regproc";
pub(super) const PG_AMOP: &str = "oid oid, amopfamily oid, amoplefttype oid, amoprighttype oid, amopstrategy int2, amoppurpose char, \
     amopopr oid, amopmethod oid, amopsortfamily oid";
pub(super) const PG_AMPROC: &str =
    "oid oid, amprocfamily oid, amproclefttype oid, amprocrighttype oid, amprocnum int2, amproc regproc";
pub(super) const PG_PARAMETER_ACL: &str = "oid oid, parname text, paracl aclitem[]";
pub(super) const PG_USER_MAPPINGS: &str =
    "umid oid, srvid oid, srvname name, umuser oid, usename name, umoptions text[]";
pub(super) const PG_TYPE: &str = "oid oid, typname name, typnamespace oid, typowner oid, typlen int2, typbyval bool, typtype char, \
     typcategory char, typispreferred bool, typisdefined bool, typdelim char, typrelid oid, typsubscript regproc, \
     typelem oid, typarray oid, typinput regproc, typoutput regproc, typreceive regproc, typsend regproc, \
     typmodin regproc, typmodout regproc, typanalyze regproc, typalign char, typstorage char, typnotnull bool, \
     typbasetype oid, typtypmod int4, typndims int4, typcollation oid, typdefaultbin pg_node_tree, typdefault text, \
     typacl aclitem[]";
pub(super) const PG_USER_MAPPING: &str = "oid oid, umuser oid, umserver oid, umoptions text[]";
pub(super) const PG_ROLES: &str = "rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin bool, \
     rolreplication bool, rolconnlimit int4, rolpassword text, rolvaliduntil timestamptz, rolbypassrls bool, \
     rolconfig text[], oid oid";
pub(super) const PG_USER: &str = "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, passwd text, \
     valuntil timestamptz, useconfig text[]";
pub(super) const PG_SHADOW: &str = "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, passwd text, \
     valuntil timestamptz, useconfig text[]";
pub(super) const PG_GROUP: &str = "groname name, grosysid oid, grolist oid[]";
pub(super) const PG_POLICIES: &str = "schemaname name, tablename name, policyname name, permissive text, roles name[], cmd text, qual text, \
     with_check text";
pub(super) const PG_RULES: &str = "schemaname name, tablename name, rulename name, definition text";
pub(super) const PG_VIEWS: &str = "schemaname name, viewname name, viewowner name, definition text";
pub(super) const PG_TABLES: &str = "schemaname name, tablename name, tableowner name, tablespace name, hasindexes bool, hasrules bool, \
     hastriggers bool, rowsecurity bool";
pub(super) const PG_MATVIEWS: &str = "schemaname name, matviewname name, matviewowner name, tablespace name, hasindexes bool, ispopulated bool, \
     definition text";
pub(super) const PG_INDEXES: &str = "schemaname name, tablename name, indexname name, tablespace name, indexdef text";
pub(super) const PG_SEQUENCES: &str = "schemaname name, sequencename name, sequenceowner name, data_type regtype, start_value int8, min_value int8, \
     max_value int8, increment_by int8, cycle bool, cache_size int8, last_value int8";
pub(super) const PG_SETTINGS: &str = "name text, setting text, unit text, category text, short_desc text, extra_desc text, context text, vartype text, \
     source text, min_val text, max_val text, enumvals text[], boot_val text, reset_val text, sourcefile text, \
     sourceline int4, pending_restart bool";
pub(super) const PG_LOCKS: &str = "locktype text, database oid, relation oid, page int4, tuple int2, virtualxid text, transactionid xid, \
     classid oid, objid oid, objsubid int2, virtualtransaction text, pid int4, mode text, granted bool, \
     fastpath bool, waitstart timestamptz";
pub(super) const PG_STAT_ACTIVITY: &str = "datid oid, datname name, pid int4, leader_pid int4, usesysid oid, usename name, application_name text, \
     client_addr text, client_hostname text, client_port int4, backend_start timestamptz, xact_start timestamptz, \
     query_start timestamptz, state_change timestamptz, wait_event_type text, wait_event text, state text, \
     backend_xid xid, backend_xmin xid, query_id int8, query text, backend_type text";
pub(super) const PG_STAT_USER_TABLES: &str = "relid oid, schemaname name, relname name, seq_scan int8, seq_tup_read int8, idx_scan int8, idx_tup_fetch int8, \
     n_tup_ins int8, n_tup_upd int8, n_tup_del int8, n_tup_hot_upd int8, n_live_tup int8, n_dead_tup int8, \
     n_mod_since_analyze int8, n_ins_since_vacuum int8, last_vacuum timestamptz, last_autovacuum timestamptz, \
     last_analyze timestamptz, last_autoanalyze timestamptz, vacuum_count int8, autovacuum_count int8, \
     analyze_count int8, autoanalyze_count int8";
pub(super) const PG_PUBLICATION_TABLES: &str =
    "pubname name, schemaname name, tablename name, attnames name[], rowfilter text";
pub(super) const PG_CURSORS: &str =
    "name text, statement text, is_holdable bool, is_binary bool, is_scrollable bool, creation_time timestamptz";
pub(super) const PG_PREPARED_XACTS: &str = "transaction xid, gid text, prepared timestamptz, owner name, database name";
pub(super) const PG_PREPARED_STATEMENTS: &str = "name text, statement text, prepare_time timestamptz, parameter_types text[], from_sql bool, generic_plans int8, \
     custom_plans int8";
pub(super) const PG_AVAILABLE_EXTENSIONS: &str =
    "name name, default_version text, installed_version text, comment text";
pub(super) const PG_AVAILABLE_EXTENSION_VERSIONS: &str = "name name, version text, installed bool, superuser bool, trusted bool, relocatable bool, schema name, \
     requires name[], comment text";
pub(super) const PG_BACKEND_MEMORY_CONTEXTS: &str = "name text, ident text, parent text, level int4, total_bytes int8, total_nblocks int8, free_bytes int8, \
     free_chunks int8, used_bytes int8";
pub(super) const PG_CONFIG: &str = "name text, setting text";
pub(super) const PG_FILE_SETTINGS: &str =
    "sourcefile text, sourceline int4, seqno int4, name text, setting text, applied bool, error text";
pub(super) const PG_HBA_FILE_RULES: &str = "line_number int4, type text, database text[], user_name text[], address text, netmask text, auth_method text, \
     options text[], error text";
pub(super) const PG_IDENT_FILE_MAPPINGS: &str =
    "line_number int4, map_name text, sys_name text, pg_username text, error text";
pub(super) const PG_LARGEOBJECT: &str = "loid oid, pageno int4, data bytea";
pub(super) const PG_REPLICATION_ORIGIN: &str = "roident oid, roname text";
pub(super) const PG_REPLICATION_ORIGIN_STATUS: &str =
    "local_id oid, external_id text, remote_lsn pg_lsn, local_lsn pg_lsn";
pub(super) const PG_REPLICATION_SLOTS: &str = "slot_name name, plugin name, slot_type text, datoid oid, database name, temporary bool, active bool, \
     active_pid int4, xmin xid, catalog_xmin xid, restart_lsn pg_lsn, confirmed_flush_lsn pg_lsn, wal_status text, \
     safe_wal_size int8, two_phase bool";
pub(super) const PG_SHMEM_ALLOCATIONS: &str = "name text, off int8, size int8, allocated_size int8";
pub(super) const PG_SHSECLABEL: &str = "objoid oid, classoid oid, provider text, label text";
pub(super) const PG_STAT_ARCHIVER: &str = "archived_count int8, last_archived_wal text, last_archived_time timestamptz, failed_count int8, \
     last_failed_wal text, last_failed_time timestamptz, stats_reset timestamptz";
pub(super) const PG_STAT_BGWRITER: &str = "checkpoints_timed int8, checkpoints_req int8, checkpoint_write_time float8, checkpoint_sync_time float8, \
     buffers_checkpoint int8, buffers_clean int8, maxwritten_clean int8, buffers_backend int8, \
     buffers_backend_fsync int8, buffers_alloc int8, stats_reset timestamptz";
pub(super) const PG_STAT_DATABASE: &str = "datid oid, datname name, numbackends int4, xact_commit int8, xact_rollback int8, blks_read int8, blks_hit int8, \
     tup_returned int8, tup_fetched int8, tup_inserted int8, tup_updated int8, tup_deleted int8, conflicts int8, \
     temp_files int8, temp_bytes int8, deadlocks int8, checksum_failures int8, checksum_last_failure timestamptz, \
     blk_read_time float8, blk_write_time float8, session_time float8, active_time float8, \
     idle_in_transaction_time float8, sessions int8, sessions_abandoned int8, sessions_fatal int8, \
     sessions_killed int8, stats_reset timestamptz";
pub(super) const PG_STAT_DATABASE_CONFLICTS: &str = "datid oid, datname name, confl_tablespace int8, confl_lock int8, confl_snapshot int8, confl_bufferpin int8, \
     confl_deadlock int8";
pub(super) const PG_STAT_GSSAPI: &str = "pid int4, gss_authenticated bool, principal text, encrypted bool";
pub(super) const PG_STAT_PROGRESS_ANALYZE: &str = "pid int4, datid oid, datname name, relid oid, phase text, sample_blks_total int8, sample_blks_scanned int8, \
     ext_stats_total int8, ext_stats_computed int8, child_tables_total int8, child_tables_done int8, \
     current_child_table_relid oid";
pub(super) const PG_STAT_PROGRESS_BASEBACKUP: &str =
    "pid int4, phase text, backup_total int8, backup_streamed int8, tablespaces_total int8, tablespaces_streamed int8";
pub(super) const PG_STAT_PROGRESS_CLUSTER: &str = "pid int4, datid oid, datname name, relid oid, command text, phase text, cluster_index_relid oid, \
     heap_tuples_scanned int8, heap_tuples_written int8, heap_blks_total int8, heap_blks_scanned int8, \
     index_rebuild_count int8";
pub(super) const PG_STAT_PROGRESS_COPY: &str = "pid int4, datid oid, datname name, relid oid, command text, type text, bytes_processed int8, bytes_total int8, \
     tuples_processed int8, tuples_excluded int8";
pub(super) const PG_STAT_PROGRESS_CREATE_INDEX: &str = "pid int4, datid oid, datname name, relid oid, index_relid oid, command text, phase text, lockers_total int8, \
     lockers_done int8, current_locker_pid int8, blocks_total int8, blocks_done int8, tuples_total int8, \
     tuples_done int8, partitions_total int8, partitions_done int8";
pub(super) const PG_STAT_PROGRESS_VACUUM: &str = "pid int4, datid oid, datname name, relid oid, phase text, heap_blks_total int8, heap_blks_scanned int8, \
     heap_blks_vacuumed int8, index_vacuum_count int8, max_dead_tuples int8, num_dead_tuples int8";
pub(super) const PG_STAT_RECOVERY_PREFETCH: &str = "stats_reset timestamptz, prefetch int8, hit int8, skip_init int8, skip_new int8, skip_fpw int8, skip_rep int8, \
     wal_distance int4, block_distance int4, io_depth int4";
pub(super) const PG_STAT_REPLICATION: &str = "pid int4, usesysid oid, usename name, application_name text, client_addr inet, client_hostname text, \
     client_port int4, backend_start timestamptz, backend_xmin xid, state text, sent_lsn pg_lsn, write_lsn pg_lsn, \
     flush_lsn pg_lsn, replay_lsn pg_lsn, write_lag interval, flush_lag interval, replay_lag interval, \
     sync_priority int4, sync_state text, reply_time timestamptz";
pub(super) const PG_STAT_REPLICATION_SLOTS: &str = "slot_name text, spill_txns int8, spill_count int8, spill_bytes int8, stream_txns int8, stream_count int8, \
     stream_bytes int8, total_txns int8, total_bytes int8, stats_reset timestamptz";
pub(super) const PG_STAT_SLRU: &str = "name text, blks_zeroed int8, blks_hit int8, blks_read int8, blks_written int8, blks_exists int8, flushes int8, \
     truncates int8, stats_reset timestamptz";
pub(super) const PG_STAT_SSL: &str =
    "pid int4, ssl bool, version text, cipher text, bits int4, client_dn text, client_serial numeric, issuer_dn text";
pub(super) const PG_STAT_SUBSCRIPTION: &str = "subid oid, subname name, pid int4, relid oid, received_lsn pg_lsn, last_msg_send_time timestamptz, \
     last_msg_receipt_time timestamptz, latest_end_lsn pg_lsn, latest_end_time timestamptz";
pub(super) const PG_STAT_SUBSCRIPTION_STATS: &str =
    "subid oid, subname name, apply_error_count int8, sync_error_count int8, stats_reset timestamptz";
pub(super) const PG_STAT_USER_FUNCTIONS: &str =
    "funcid oid, schemaname name, funcname name, calls int8, total_time float8, self_time float8";
pub(super) const PG_STAT_USER_INDEXES: &str = "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name, idx_scan int8, idx_tup_read int8, \
     idx_tup_fetch int8";
pub(super) const PG_STAT_WAL: &str = "wal_records int8, wal_fpi int8, wal_bytes numeric, wal_buffers_full int8, wal_write int8, wal_sync int8, \
     wal_write_time float8, wal_sync_time float8, stats_reset timestamptz";
pub(super) const PG_STAT_WAL_RECEIVER: &str = "pid int4, status text, receive_start_lsn pg_lsn, receive_start_tli int4, written_lsn pg_lsn, \
     flushed_lsn pg_lsn, received_tli int4, last_msg_send_time timestamptz, last_msg_receipt_time timestamptz, \
     latest_end_lsn pg_lsn, latest_end_time timestamptz, slot_name text, sender_host text, sender_port int4, \
     conninfo text";
pub(super) const PG_STAT_XACT_USER_TABLES: &str = "relid oid, schemaname name, relname name, seq_scan int8, seq_tup_read int8, idx_scan int8, idx_tup_fetch int8, \
     n_tup_ins int8, n_tup_upd int8, n_tup_del int8, n_tup_hot_upd int8";
pub(super) const PG_STATIO_USER_INDEXES: &str = "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name, idx_blks_read int8, \
     idx_blks_hit int8";
pub(super) const PG_STATIO_USER_SEQUENCES: &str =
    "relid oid, schemaname name, relname name, blks_read int8, blks_hit int8";
pub(super) const PG_STATIO_USER_TABLES: &str = "relid oid, schemaname name, relname name, heap_blks_read int8, heap_blks_hit int8, idx_blks_read int8, \
     idx_blks_hit int8, toast_blks_read int8, toast_blks_hit int8, tidx_blks_read int8, tidx_blks_hit int8";
pub(super) const PG_STATISTIC: &str = "starelid oid, staattnum int2, stainherit bool, stanullfrac float4, stawidth int4, stadistinct float4, \
     stakind1 int2, stakind2 int2, stakind3 int2, stakind4 int2, stakind5 int2, staop1 oid, staop2 oid, staop3 oid, \
     staop4 oid, staop5 oid, stacoll1 oid, stacoll2 oid, stacoll3 oid, stacoll4 oid, stacoll5 oid, \
     stanumbers1 float4[], stanumbers2 float4[], stanumbers3 float4[], stanumbers4 float4[], stanumbers5 float4[], \
     stavalues1 anyarray, stavalues2 anyarray, stavalues3 anyarray, stavalues4 anyarray, stavalues5 anyarray";
pub(super) const PG_STATS: &str = "schemaname name, tablename name, attname name, inherited bool, null_frac float4, avg_width int4, \
     n_distinct float4, most_common_vals anyarray, most_common_freqs float4[], histogram_bounds anyarray, \
     correlation float4, most_common_elems anyarray, most_common_elem_freqs float4[], elem_count_histogram float4[]";
pub(super) const PG_STATS_EXT: &str = "schemaname name, tablename name, statistics_schemaname name, statistics_name name, statistics_owner name, \
     attnames name[], exprs text[], kinds char[], inherited bool, n_distinct pg_ndistinct, \
     dependencies pg_dependencies, most_common_vals text[], most_common_val_nulls bool[], \
     most_common_freqs float8[], most_common_base_freqs float8[]";
pub(super) const PG_STATS_EXT_EXPRS: &str = "schemaname name, tablename name, statistics_schemaname name, statistics_name name, statistics_owner name, \
     expr text, inherited bool, null_frac float4, avg_width int4, n_distinct float4, most_common_vals anyarray, \
     most_common_freqs float4[], histogram_bounds anyarray, correlation float4, most_common_elems anyarray, \
     most_common_elem_freqs float4[], elem_count_histogram float4[]";
pub(super) const PG_SUBSCRIPTION_REL: &str = "srsubid oid, srrelid oid, srsubstate char, srsublsn pg_lsn";
pub(super) const PG_TIMEZONE_ABBREVS: &str = "abbrev text, utc_offset interval, is_dst bool";
pub(super) const PG_TIMEZONE_NAMES: &str = "name text, abbrev text, utc_offset interval, is_dst bool";
