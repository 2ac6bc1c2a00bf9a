"""Tokens of forges, package registries, delivery, and model providers.

Lengths are lower bounds below the documented ones: a token that a terminal cut is still one.
"""

from __future__ import annotations

from typing import Final

from memory_core.redaction.rules import Rule, scrambled

CODE_RULES: Final[tuple[Rule, ...]] = (
    Rule("github_token", ("ghp_", "gho_", "ghr_"), r"gh[por]_[A-Za-z0-9]{30,255}"),
    Rule("github_app_token", ("ghu_", "ghs_"), r"gh[us]_[A-Za-z0-9][A-Za-z0-9_.-]{29,}"),
    Rule(
        "github_fine_grained_token",
        ("github_pat_",),
        r"github_pat_[A-Za-z0-9]{20,22}_[A-Za-z0-9]{40,}",
    ),
    Rule(
        "gitlab_token",
        (
            *("glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-"),
            *("glagent-", "gloas-", "glsoat-", "glffct-", "glwt-"),
        ),
        r"gl(?:pat|dt|rtr?|cbt|ptt|ft|imt|agent|oas|soat|ffct|wt)-[A-Za-z0-9_-]{16,}"
        r"(?:\.[a-z0-9]{2}\.[a-z0-9]{9})?",
    ),
    Rule("gitlab_token", ("GR1348941",), r"GR1348941[A-Za-z0-9_-]{18,}"),
    Rule("bitbucket_token", ("ATBB",), r"ATBB[A-Za-z0-9=_-]{28,}"),
    Rule("bitbucket_token", ("ATCTT3x",), r"ATCTT3x[A-Za-z0-9_=-]{60,}"),
    Rule("atlassian_api_token", ("ATATT3x",), r"ATATT3x[A-Za-z0-9_=-]{60,}"),
    Rule("npm_token", ("npm_",), r"npm_[A-Za-z0-9]{30,}", accept=scrambled),
    Rule("pypi_token", ("pypi-Ag",), r"pypi-Ag[A-Za-z0-9_-]{40,}"),
    Rule("rubygems_api_key", ("rubygems_",), r"rubygems_[a-f0-9]{40,}"),
    Rule("crates_io_token", ("cio",), r"cio[A-Za-z0-9]{32}(?![A-Za-z0-9])", accept=scrambled),
    Rule("docker_hub_token", ("dckr_pat_", "dckr_oat_"), r"dckr_[po]at_[A-Za-z0-9_-]{20,}"),
    Rule("artifactory_token", ("AKCp",), r"AKCp[A-Za-z0-9]{60,}"),
    Rule("artifactory_token", ("cmVmdGtu",), r"cmVmdGtu[A-Za-z0-9]{50,}"),
    Rule(
        "circleci_token", ("CCIPAT_", "CCIPRJ_"), r"CCIP(?:AT|RJ)_[A-Za-z0-9]{16,}_[A-Fa-f0-9]{40}"
    ),
    Rule("buildkite_token", ("bkua_",), r"bkua_[a-z0-9]{40}"),
    Rule("sonar_token", ("squ_", "sqp_", "sqa_"), r"sq[upa]_[a-z0-9]{40}"),
    Rule("postman_api_key", ("PMAK-",), r"PMAK-[a-f0-9]{24}-[a-f0-9]{30,}"),
    Rule("memctx_api_key", ("mctx_",), r"mctx_[A-Za-z0-9_-]{16,}", accept=scrambled),
)

MODEL_RULES: Final[tuple[Rule, ...]] = (
    Rule("anthropic_api_key", ("sk-ant-",), r"sk-ant-[A-Za-z0-9_-]{16,}"),
    Rule("openrouter_api_key", ("sk-or-",), r"sk-or-(?:v\d-)?[A-Za-z0-9]{32,}"),
    Rule(
        "openai_api_key",
        ("sk-",),
        r"sk-(?!ant-|or-)(?:(?:proj|svcacct|admin|None|service)-)?[A-Za-z0-9_-]{20,}",
        accept=scrambled,
    ),
    Rule("huggingface_token", ("hf_", "api_org_"), r"(?:hf|api_org)_[A-Za-z0-9]{30,}"),
    Rule("groq_api_key", ("gsk_",), r"gsk_[A-Za-z0-9]{40,}"),
    Rule("xai_api_key", ("xai-",), r"xai-[A-Za-z0-9]{60,}"),
    Rule("perplexity_api_key", ("pplx-",), r"pplx-[A-Za-z0-9]{40,}"),
    Rule("replicate_token", ("r8_",), r"r8_[A-Za-z0-9]{32,}"),
    Rule("nvidia_api_key", ("nvapi-",), r"nvapi-[A-Za-z0-9_-]{50,}"),
    Rule("pinecone_api_key", ("pcsk_",), r"pcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{40,}"),
    Rule("langsmith_api_key", ("lsv2_",), r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    Rule("tavily_api_key", ("tvly-",), r"tvly-[A-Za-z0-9-]{24,}"),
)
