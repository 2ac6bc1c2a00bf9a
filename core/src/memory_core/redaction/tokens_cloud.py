"""Tokens of clouds, hosters and secret stores that their own form gives away.

Lengths are lower bounds below the documented ones: a token that a terminal cut is still one.
"""

from __future__ import annotations

from typing import Final

from memory_core.redaction.rules import Rule, scrambled

CLOUD_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "aws_access_key",
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        r"A[KSBC][IC]A[A-Z0-9]{16}(?![A-Za-z0-9])",
    ),
    Rule("aws_bedrock_key", ("ABSK",), r"ABSK[A-Za-z0-9+/]{100,}={0,2}"),
    Rule("aws_bedrock_key", ("bedrock-api-key-",), r"bedrock-api-key-[A-Za-z0-9+/=_-]{40,}"),
    Rule(
        "aws_session_token",
        ("IQoJb3JpZ2lu", "FwoGZXIvYXdz", "FQoGZXIvYXdz"),
        r"(?:IQoJb3JpZ2lu|F[wQ]oGZXIvYXdz)[A-Za-z0-9+/%]{80,}={0,2}",
    ),
    Rule("google_api_key", ("AIza",), r"AIza[A-Za-z0-9_-]{30,40}"),
    Rule("google_oauth_secret", ("GOCSPX-",), r"GOCSPX-[A-Za-z0-9_-]{20,40}"),
    Rule("google_oauth_token", ("ya29.",), r"ya29\.[A-Za-z0-9_.-]{20,}"),
    Rule("google_oauth_token", ("1//0",), r"1//0[A-Za-z0-9_-]{30,}"),
    Rule(
        "firebase_server_key",
        (":APA91",),
        r"AAAA[A-Za-z0-9_-]{7}:APA91[A-Za-z0-9_-]{100,}",
        leads=(11,),
        anywhere=True,
    ),
    Rule(
        "azure_storage_key",
        ("AccountKey=", "SharedAccessKey=", "accountkey=", "sharedaccesskey="),
        r"(?i:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/%]{40,}={0,2})",
        anywhere=True,
    ),
    Rule(
        "azure_storage_key",
        ("+ASt", "ACDb"),
        r"[A-Za-z0-9+/]{76}(?:\+ASt|ACDb)[A-Za-z0-9+/]{5,6}={1,2}",
        leads=(76,),
    ),
    Rule(
        "azure_client_secret",
        ("Q~",),
        r"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}",
        leads=(4,),
        alone=True,
    ),
    Rule(
        "azure_sas_token",
        ("sig=",),
        r"sig=(?P<secret>[A-Za-z0-9+/]{40,64}=|[A-Za-z0-9%]{40,80}%3[Dd])",
        anywhere=True,
    ),
    Rule("azure_devops_token", ("AZDO",), r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}", leads=(76,)),
    Rule("azure_openai_key", ("JQQJ99",), r"[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}", leads=(52,)),
    Rule(
        "alibaba_access_key", ("LTAI",), r"LTAI[A-Za-z0-9]{16,24}(?![A-Za-z0-9])", accept=scrambled
    ),
    Rule("digitalocean_token", ("dop_v1_", "doo_v1_", "dor_v1_"), r"do[opr]_v1_[a-f0-9]{48,64}"),
    Rule("heroku_api_key", ("HRKU-",), r"HRKU-[A-Za-z0-9_-]{30,}"),
    Rule(
        "cloudflare_api_key",
        ("cfut_", "cfat_", "cfk_"),
        r"cf(?:ut|at|k)_[A-Za-z0-9]{30,}",
        accept=scrambled,
    ),
    Rule("cloudflare_api_key", ("v1.0-",), r"v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}"),
    Rule("fly_token", ("fm1r_", "fm2_", "fo1_"), r"f(?:m1r|m2|o1)_[A-Za-z0-9+/=_-]{40,}"),
    Rule("netlify_token", ("nfp_",), r"nfp_[A-Za-z0-9]{30,}"),
    Rule("render_api_key", ("rnd_",), r"rnd_[A-Za-z0-9]{28,}", accept=scrambled),
    Rule(
        "vercel_token",
        ("vcp_", "vci_", "vca_", "vcr_", "vck_"),
        r"vc[piark]_[A-Za-z0-9]{24,}",
        accept=scrambled,
    ),
    Rule("vault_token", ("hvs.", "hvb.", "hvr."), r"hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    Rule(
        "terraform_cloud_token",
        (".atlasv1.",),
        r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}",
        leads=(14,),
    ),
    Rule("pulumi_token", ("pul-",), r"pul-[a-f0-9]{40}"),
    Rule(
        "doppler_token",
        ("dp.",),
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}",
    ),
    Rule("onepassword_token", ("ops_eyJ",), r"ops_eyJ[A-Za-z0-9+/=_-]{100,}"),
    Rule("planetscale_token", ("pscale_",), r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}"),
    Rule("supabase_key", ("sbp_",), r"sbp_(?:oauth_|v0_)?[a-f0-9]{40}"),
    Rule("supabase_key", ("sb_secret_",), r"sb_secret_[A-Za-z0-9_-]{20,}"),
    Rule("tailscale_key", ("tskey-",), r"tskey-[a-z]{3,12}-[A-Za-z0-9]{8,}(?:-[A-Za-z0-9]{16,})?"),
    Rule("databricks_token", ("dapi", "dose", "dkea"), r"d(?:api|ose|kea)[a-f0-9]{32}(?:-\d)?"),
    Rule("age_secret_key", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[0-9A-Z]{40,}"),
)
