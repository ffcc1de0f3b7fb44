"""Words about access keys in Chinese."""

from __future__ import annotations

from typing import Final

CHINESE_ACCESS: Final = {
    "access.elsewhere": (
        "访问密钥只向有权执行所有操作的人显示：所用的访问密钥允许这样做，且服务器提供 HTTP；或者在服务器所在"
        "机器上，作为其数据目录的用户。"
    ),
    "access.none": "没有访问密钥：非私有的服务器对其所在机器的每个用户开放。",
    "access.first": "第一个密钥在服务器存放数据的地方用“lucas-storage keys add”创建。",
    "access.how": "修改立即在服务器的每个工作进程上生效。",
    "access.key": "密钥",
    "access.state": "状态",
    "access.made": "创建时间",
    "access.changed": "修改时间",
    "access.allows": "允许",
    "access.comment": "备注",
    "access.enabled": "有效",
    "access.disabled": "已停用",
    "access.former": "旧秘密密钥有效至",
    "access.own": "这是本页面所用的密钥。",
    "access.and": "、",
    "access.all_buckets": "所有存储桶",
    "access.buckets": "名称匹配 {glob} 的存储桶",
    "access.prefix": "，且键以 {prefix} 开头",
    "access.sentence": "可在{buckets}中{actions}",
    "access.new": "新密钥",
    "access.may": "允许",
    "access.in_buckets": "存储桶名称匹配",
    "access.below": "键的开头",
    "access.add": "创建密钥",
    "access.all_of_it": "六项全选且存储桶为 * 即允许一切，包括访问密钥。",
    "access.rotate": "更换秘密密钥",
    "access.rotate_does": (
        "密钥得到一个新的秘密密钥，只显示一次。现有的秘密密钥在此处选择的时间内仍然有效，之后自动失"
        "效；已停用的密钥则立即失效。"
    ),
    "access.grace": "旧的继续有效",
    "access.at_once": "立即失效",
    "access.hours": "{count} 小时",
    "access.days": "{count} 天",
    "access.disable": "停用",
    "access.disable_does": "从现在起拒绝使用此密钥的所有请求，正在进行的传输也会结束。",
    "access.enable": "启用",
    "access.enable_does": "重新接受使用此密钥的请求。",
    "access.remove": "删除",
    "access.remove_does": "密钥永久消失。可以另建一个，但 id 不同。",
    "access.secret": "{key} 的秘密密钥",
    "access.once": "它只显示这一次，不会保存在任何地方。请现在保存。",
    "access.variables": "供程序使用的变量",
    "access.exposed": "它从另一台机器传来，没有 TLS，途中的任何人都可能得到它。",
    "access.back": "所有密钥",
    "access.refused": "未执行",
    "access.stale": "已经完成，或者页面太旧",
    "access.stale_why": "每个表单只提交一次。如果之前已提交，操作已经完成，秘密密钥不会再次显示。",
    "access.not_here": "没有这个 id 的访问密钥。",
    "action.read": "读取对象",
    "action.list": "列出键",
    "action.write": "写入对象",
    "action.delete": "删除对象",
    "action.presign": "为他人生成 URL",
    "action.admin": "创建和删除存储桶",
}
